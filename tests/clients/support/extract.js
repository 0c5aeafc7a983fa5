// Extracts the files in the pages of docs/src into folders named after the pages, so that the tests can run them.
// A file is a code block whose first line has a language and a file name: ```js client.js

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

for (const name of ["frontend", "listener"]) {
  const page = readFileSync(new URL(`../../../docs/src/${name}.md`, import.meta.url), "utf8");
  const folder = new URL(`../${name}/`, import.meta.url);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [, file, text] of page.matchAll(/^```\w+ (\w+\.\w+)\n([^]*?)^```$/gm)) {
    writeFileSync(new URL(file, folder), text);
  }
}
