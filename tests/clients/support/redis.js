// A temporary Redis server that a test can kill and restart.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";

import { within } from "./within.js";

const running = new Set();
process.on("exit", () => running.forEach((redis) => redis.kill("SIGKILL")));

export class Redis {
  #port;
  #process;

  /** Whether Redis is installed. With REQUIRE_REDIS set it must be. */
  static get isInstalled() {
    const folders = process.env.PATH.split(delimiter);
    const isInstalled = folders.some((folder) => existsSync(join(folder, "redis-server")));
    if (!isInstalled && process.env.REQUIRE_REDIS) throw new Error("Redis is required");
    return isInstalled;
  }

  /** Starts a server on a free port. */
  static async start() {
    const redis = new Redis();
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    redis.#port = free.address().port;
    await once(free.close(), "close");
    await redis.resume();
    return redis;
  }

  get url() {
    return `redis://127.0.0.1:${this.#port}`;
  }

  /** Kills it. */
  async kill() {
    this.#process.kill("SIGKILL");
    await this.#process.gone;
  }

  /** Restarts it on the same port, without data. */
  async resume() {
    const settings = ["--bind", "127.0.0.1", "--port", this.#port, "--save", "", "--appendonly", "no"];
    const redis = spawn("redis-server", settings, { stdio: ["ignore", "pipe", "inherit"] });
    redis.gone = once(redis, "exit").then(() => running.delete(redis));
    running.add(redis);
    this.#process = redis;
    await within(
      new Promise((ready, failed) => {
        let output = "";
        redis.stdout.on("data", (text) => /Ready to accept/.test((output += text)) && ready());
        redis.once("exit", () => failed(new Error(`redis-server did not start:\n${output}`)));
      }),
      "a Redis",
    );
  }
}
