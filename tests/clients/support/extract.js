// Writes the files that stand in docs/src/frontend.md into frontend/, for the tests to run.
// A file is a block whose first line says its language and its name: ```js client.js

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const page = readFileSync(new URL("../../../docs/src/frontend.md", import.meta.url), "utf8");
const folder = new URL("../frontend/", import.meta.url);

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
for (const [, name, text] of page.matchAll(/^```\w+ (\w+\.\w+)\n([^]*?)^```$/gm)) {
  writeFileSync(new URL(name, folder), text);
}
