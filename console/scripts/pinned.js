// Verifies the pinned files of the server's pages. The pages load files of npm packages from a CDN by URL and digest:
// this script downloads the packages from npm and compares the digests. It also copies GraphQL Playground, which is
// published as a build, into the bundle.
//
// Not a dependency in package.json: npm would install the 400 packages from which Playground was built.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const pages = join(root, '../src/server/console');
const unpacked = join(root, 'node_modules/.pinned');
const bundled = join(root, 'public');

const PIN =
  /(?:src|href)="https:\/\/cdn\.jsdelivr\.net\/npm\/(?<name>[^@"]+)@(?<version>[^/"]+)\/(?<file>[^"]+)"\s+integrity="(?<integrity>[^"]*)"/g;

/** The folder with a package's files, downloaded once. */
function packageFolder(name, version) {
  const folder = join(unpacked, `${name}@${version}`);
  if (!existsSync(folder)) {
    const made = join(unpacked, 'new');
    rmSync(made, { force: true, recursive: true });
    mkdirSync(made, { recursive: true });
    const npm = ['pack', '--silent', '--pack-destination', made, `${name}@${version}`];
    const archive = execFileSync('npm', npm, { encoding: 'utf8' }).trim();
    execFileSync('tar', ['-xzf', join(made, archive), '-C', made]);
    cpSync(join(made, 'package'), folder, { recursive: true });
  }
  return folder;
}

function check(page) {
  const pins = [...readFileSync(join(pages, page), 'utf8').matchAll(PIN)];
  if (pins.length === 0) {
    throw new Error(`${page} pins nothing`);
  }
  return pins.map(({ groups: { name, version, file, integrity } }) => {
    const folder = packageFolder(name, version);
    const digest = createHash('sha384').update(readFileSync(join(folder, file))).digest('base64');
    if (integrity !== `sha384-${digest}`) {
      throw new Error(`${page}: the integrity of ${name}@${version}/${file} is sha384-${digest}`);
    }
    return { folder, file, at: join(bundled, `${name}@${version}`) };
  });
}

check('graphiql.html');
rmSync(bundled, { force: true, recursive: true });
for (const { folder, file, at } of check('playground.html')) {
  for (const copied of [file, 'LICENSE']) {
    mkdirSync(dirname(join(at, copied)), { recursive: true });
    cpSync(join(folder, copied), join(at, copied));
  }
}
