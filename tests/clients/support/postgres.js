// A temporary PostgreSQL server for a test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

import { within } from "./within.js";

const SCRIPT = fileURLToPath(new URL("../../it/support/postgres.sh", import.meta.url));
const DEBIAN = "/usr/lib/postgresql";

export class Postgres {
  #process;
  #folder;

  /** Whether PostgreSQL is installed. With REQUIRE_POSTGRES set it must be. */
  static get isInstalled() {
    if (!programs() && process.env.REQUIRE_POSTGRES) throw new Error("PostgreSQL is required");
    return Boolean(programs());
  }

  /** Starts a server that listens on a Unix socket in a temporary folder. It ends with this process at the latest. */
  static async start() {
    const postgres = new Postgres();
    postgres.#process = spawn("sh", [SCRIPT, programs(), ""], { stdio: ["pipe", "pipe", "inherit"] });
    const [folder] = await within(once(postgres.#process.stdout, "data"), "a PostgreSQL");
    postgres.#folder = String(folder).trim();
    return postgres;
  }

  get url() {
    return `postgres://postgres@localhost/postgres?host=${this.#folder}`;
  }

  async stop() {
    const gone = once(this.#process, "exit");
    this.#process.stdin.end();
    await gone;
  }
}

/** The folder that has both `initdb` and `postgres`. */
function programs() {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN) : [];
  const folders = [...versions.map((version) => join(DEBIAN, version, "bin")), ...process.env.PATH.split(delimiter)];
  return folders.find((folder) => ["initdb", "postgres"].every((program) => existsSync(join(folder, program))));
}
