// A Redis of the test's own, which it kills and starts again.

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

  /** Whether there is one to start. With REQUIRE_REDIS set there must be. */
  static get isThere() {
    const folders = process.env.PATH.split(delimiter);
    const isThere = folders.some((folder) => existsSync(join(folder, "redis-server")));
    if (!isThere && process.env.REQUIRE_REDIS) throw new Error("Redis is required");
    return isThere;
  }

  /** Starts one on a port that is free. */
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

  /** Ends it without a word. */
  async kill() {
    this.#process.kill("SIGKILL");
    await this.#process.gone;
  }

  /** Starts it again where it was, without anything that it knew. */
  async resume() {
    const settings = ["--bind", "127.0.0.1", "--port", this.#port, "--save", "", "--appendonly", "no"];
    const redis = spawn("redis-server", settings, { stdio: ["ignore", "pipe", "inherit"] });
    redis.gone = once(redis, "exit").then(() => running.delete(redis));
    running.add(redis);
    this.#process = redis;
    await within(
      new Promise((ready, failed) => {
        let told = "";
        redis.stdout.on("data", (text) => /Ready to accept/.test((told += text)) && ready());
        redis.once("exit", () => failed(new Error(`redis-server did not start:\n${told}`)));
      }),
      "a Redis",
    );
  }
}
