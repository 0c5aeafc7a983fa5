// A web server for a page that imports packages of node_modules by name, as a bundler would resolve them.

import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";

const ROOT = new URL("../", import.meta.url);
const CONDITIONS = ["browser", "module", "es2015", "import", "default"];
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript" };

export class Site {
  #server;

  /** Serves this page at `/`, and the files beside the tests. The page may import these packages. */
  static async start(html, packages) {
    const imports = Object.assign({}, ...packages.map(importsOf));
    const map = `<script type="importmap">${JSON.stringify({ imports })}</script>`;
    const site = new Site();
    site.#server = createServer(({ url }, response) => {
      const file = fileOf(url);
      if (url !== "/" && !file) return response.writeHead(404).end();
      const type = TYPES[extname(file?.pathname ?? ".html")];
      response.writeHead(200, { "content-type": `${type}; charset=utf-8` });
      response.end(file ? readFileSync(file) : map + html);
    });
    site.#server.listen(0, "127.0.0.1");
    await once(site.#server, "listening");
    return site;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** The file of a path, which may lack its extension. */
function fileOf(path) {
  const files = [path, `${path}.js`].map((name) => new URL(`.${name}`, ROOT));
  return files.find((file) => extname(file.pathname) in TYPES && existsSync(file));
}

/** The import map of a package and of those that it depends on. */
function importsOf(name) {
  const folder = `/node_modules/${name}/`;
  const { exports, module, main, dependencies = {} } = JSON.parse(readFileSync(new URL(`.${folder}package.json`, ROOT)));
  const entries = exports?.["."] || typeof exports === "object" ? exports : { ".": exports ?? module ?? main };
  const imports = {};
  for (const [entry, target] of Object.entries(entries)) {
    const [specifier, file] = [name + entry.slice(1), resolve(target)].map((path) => path?.replace(/\*.*/, ""));
    if (file) imports[specifier] = folder + file.replace(/^\.\//, "");
  }
  return Object.assign(imports, ...Object.keys(dependencies).map(importsOf));
}

/** The target of an entry of `exports` in a browser. */
function resolve(target) {
  if (typeof target !== "object") return target;
  const condition = Object.keys(target ?? {}).find((condition) => CONDITIONS.includes(condition));
  return condition && resolve(target[condition]);
}
