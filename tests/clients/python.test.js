// Python's gql 4, where there is a python3: gql_client.py.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { signUp } from "./support/ask.js";
import { picture } from "./support/picture.js";
import { Server } from "./support/server.js";

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
/** An environment of its own, which is kept for the next run. */
const ENVIRONMENT = here("node_modules/.cache/python");
const PYTHON = join(ENVIRONMENT, "bin/python");

/** Whether there is a python3. REQUIRE_PYTHON demands one. */
async function hasPython() {
  try {
    await run("python3", ["-c", "import ensurepip, venv"]);
    return true;
  } catch (error) {
    if (process.env.REQUIRE_PYTHON) throw error;
    return false;
  }
}

async function install() {
  if (!existsSync(PYTHON)) {
    mkdirSync(ENVIRONMENT, { recursive: true });
    await run("python3", ["-m", "venv", ENVIRONMENT]);
  }
  const options = ["--quiet", "--disable-pip-version-check"];
  await run(PYTHON, ["-m", "pip", "install", ...options, "--requirement", here("requirements.txt")]);
}

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

test("gql queries, sends files and subscribes in either subprotocol", async (context) => {
  if (!(await hasPython())) return context.skip("there is no python3 with venv");
  await install();
  const { accessToken } = await signUp(server, "ann");
  const file = join(server.folder, "me.gif");
  writeFileSync(file, Buffer.from(await picture().arrayBuffer()));
  const { stdout } = await run(PYTHON, [here("gql_client.py"), server.url, server.socketUrl, accessToken, file]);
  assert.deepEqual(JSON.parse(stdout), {
    http: ["ann", 3, 1, "GRAPHQL_VALIDATION_FAILED"],
    // It offers both, and the older one first.
    socket: ["graphql-ws", "ann", [0, 7]],
    modern: ["graphql-transport-ws", "ann", [0, 7]],
  });
});
