// The server under test: a separate process with a temporary folder.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import "./browser.js";
import { LIVE } from "./programs.js";

const running = new Set();
process.on("exit", () => running.forEach((server) => server.abandon()));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

export class Server {
  #settings;
  #program;
  #folder = mkdtempSync(join(tmpdir(), "switchboard-"));
  #process;
  #port = 0;

  /** Starts a server with these settings. Resolves when it listens. */
  static async start(settings = {}, program = LIVE) {
    const server = new Server(settings, program);
    running.add(server);
    await server.#run();
    return server;
  }

  constructor(settings, program) {
    this.#settings = settings;
    this.#program = program;
  }

  get origin() {
    return `http://127.0.0.1:${this.#port}`;
  }

  get url() {
    return `${this.origin}/graphql`;
  }

  get socketUrl() {
    return `ws://127.0.0.1:${this.#port}/graphql`;
  }

  /** The server's data and working folder. */
  get folder() {
    return this.#folder;
  }

  /** Runs a command of the program on the same data. */
  async command(...words) {
    await promisify(execFile)(this.#program, words, { cwd: this.#folder, env: this.#environment });
  }

  /** Stops it by SIGTERM. Resolves when it has ended. */
  async stop() {
    await this.#end();
    this.abandon();
  }

  /** Restarts it on the same port with the same data. */
  async restart() {
    await this.#end();
    await this.#run();
  }

  /** Removes the process and the files, however the tests end. */
  abandon() {
    running.delete(this);
    this.#process?.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end() {
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    await gone;
    this.#process = undefined;
  }

  get #environment() {
    const { PATH } = process.env;
    return { PATH, LISTEN: `127.0.0.1:${this.#port}`, DATA_DIR: this.#folder, ...this.#settings };
  }

  async #run() {
    const env = this.#environment;
    const server = spawn(this.#program, { cwd: this.#folder, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#process = server;
    let output = "";
    const listens = new Promise((listening, failed) => {
      server.once("error", failed);
      server.once("exit", () => failed(new Error(`${this.#program} did not start:\n${output}`)));
      server.stderr.on("data", (text) => (output += text));
      server.stdout.on("data", (text) => {
        output += text;
        const port = /listens on http:\/\/[^:]+:(\d+)/.exec(output)?.[1];
        if (port) listening(Number(port));
      });
    });
    this.#port = await listens;
  }
}
