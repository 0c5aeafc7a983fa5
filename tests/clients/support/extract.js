// Extracts the files in the pages of docs/src into folders named after the pages, so that the tests can run them.
// A file is a code block whose first line has a language and a file name: ```js client.js
// TypeScript becomes JavaScript. frontend.test.js checks its types.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

for (const name of ["frontend", "listener"]) {
  const page = readFileSync(new URL(`../../../docs/src/${name}.md`, import.meta.url), "utf8");
  const folder = new URL(`../${name}/`, import.meta.url);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [, file, text] of page.matchAll(/^```\w+ (\w+\.\w+)\n([^]*?)^```$/gm)) {
    writeFileSync(new URL(file, folder), text);
  }
}

const tsc = fileURLToPath(new URL("../node_modules/.bin/tsc", import.meta.url));
execFileSync(tsc, ["--project", "frontend", "--noCheck"], {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  stdio: "inherit",
});
