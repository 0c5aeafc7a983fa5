// The programs of docs/src/listener.md, each beside a server of its own.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { WebSocketServer } from "ws";

import { PASSWORD, ask, data, signUp } from "./support/ask.js";
import { signUpWithPhone } from "./support/phone.js";
import { upload } from "./support/picture.js";
import { LISTENER } from "./support/programs.js";
import { Server } from "./support/server.js";
import { within } from "./support/within.js";

const PROGRAMS = {
  "in Node.js": [process.execPath, fileURLToPath(new URL("listener/listener.mjs", import.meta.url))],
  "in Rust": [LISTENER],
};
const BOB = "+31687654321";
const LOGIN = `mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken refreshToken } }
}`;
const ADD_CONTACT = "mutation ($input: AddContactInput!) { addContact(input: $input) { id } }";

const running = new Set();
process.on("exit", () => running.forEach((program) => program.kill()));

/** A listener that was started with these tokens in a file. */
class Listener {
  constructor([program, ...rest], url, file) {
    const env = { PATH: process.env.PATH, SWITCHBOARD_URL: url, SWITCHBOARD_TOKENS: file };
    this.process = spawn(program, rest, { env, stdio: ["ignore", "pipe", "pipe"] });
    running.add(this.process);
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    this.said = "";
    this.process.stderr.on("data", (text) => (this.said += text));
    this.ended = once(this.process, "close").then(([status]) => status);
    this.ended.finally(() => running.delete(this.process));
  }

  /** The next line as who has which version. */
  async tells() {
    const next = this.lines.next().then(({ value, done }) => {
      if (done) throw new Error(`It ended: ${this.said}`);
      return JSON.parse(value);
    });
    const { profile, version, avatar } = await within(next, "a line");
    assert.equal(avatar !== null, version > 0 && version !== 3, "the third is a removal");
    return `${profile.displayName} ${version}`;
  }

  /** Waits for its end, and answers what it said last. */
  async ends() {
    assert.equal(await within(this.ended, "its end"), 1, this.said);
    return this.said.trimEnd().split("\n").at(-1);
  }
}

/** A server that answers a subscription once, as it is told to. */
class Strange {
  /** `answer` makes the answer to the subscription of a field. */
  static async start(answer) {
    const sockets = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    sockets.on("connection", (socket) => {
      const say = (message) => socket.send(JSON.stringify(message));
      socket.on("message", (text) => {
        const { type, id, payload } = JSON.parse(text);
        if (type === "connection_init") say({ type: "connection_ack" });
        if (type !== "subscribe") return;
        const { data, errors } = answer(/{ (\w+)/.exec(payload.query)[1]);
        say(errors ? { type: "error", id, payload: errors } : { type: "next", id, payload: { data } });
      });
    });
    await once(sockets, "listening");
    return Object.assign(new Strange(), { sockets, url: `http://127.0.0.1:${sockets.address().port}` });
  }

  /** Lets all its sockets go without a word. */
  breaks() {
    this.sockets.clients.forEach((socket) => socket.terminate());
  }

  stop() {
    this.sockets.close();
    this.breaks();
  }
}

for (const [how, program] of Object.entries(PROGRAMS)) {
  describe(how, () => {
    let server, ann, bob, file;
    before(async () => {
      // Tokens name it, and it gets its port when it starts.
      server = await Server.start({ PUBLIC_URL: "http://switchboard.example" });
      ann = await signUp(server, "ann");
      bob = await signUpWithPhone([server], "bob", BOB);
      const input = { name: "Bob", phone: BOB };
      await data(server, ADD_CONTACT, { variables: { input }, token: ann.accessToken });
      file = join(server.folder, "tokens.json");
    });
    after(() => server?.stop());

    /** Starts it with tokens of a session of its own, changed as given. */
    async function listens(change = (tokens) => tokens) {
      const input = { identifier: "ann", password: PASSWORD };
      const { accessToken, refreshToken } = (await data(server, LOGIN, { variables: { input } })).login;
      writeFileSync(file, JSON.stringify(change({ accessToken, refreshToken })), { mode: 0o600 });
      return new Listener(program, server.url, file);
    }

    test("it tells each change once, whatever happens to the token and the server", async () => {
      const listener = await listens((tokens) => ({ ...tokens, accessToken: "over" }));
      assert.deepEqual([await listener.tells(), await listener.tells()].sort(), ["ann 0", "bob 0"]);
      const { accessToken: token, refreshToken } = JSON.parse(readFileSync(file, "utf8"));
      assert.equal((await ask(server, "{ me { nickname } }", { token })).answer.data.me.nickname, "ann");
      assert.equal(statSync(file).mode & 0o777, 0o600);

      await upload(server, ann);
      assert.equal(await listener.tells(), "ann 1");
      await upload(server, bob);
      assert.equal(await listener.tells(), "bob 1");

      await server.restart();
      await upload(server, bob);
      assert.equal(await listener.tells(), "bob 2");
      await data(server, "mutation { removeAvatar { id } }", { token: bob.accessToken });
      assert.equal(await listener.tells(), "bob 3");

      await data(server, "mutation { logout }", { token });
      assert.equal(await listener.ends(), "4401: The session has ended.");
      assert.equal(JSON.parse(readFileSync(file, "utf8")).refreshToken, refreshToken);
    });

    test("what can be tried again is, and what cannot ends it", async () => {
      const errors = [{ message: "Not now.", extensions: { retryable: true } }];
      const strange = await Strange.start((field) => {
        const displayName = field === "avatarChanged" ? "ann" : "bob";
        const change = { userId: displayName, version: 0, profile: { displayName }, avatar: null };
        return errors.length ? { errors: [errors.pop()] } : { data: { [field]: change } };
      });
      writeFileSync(file, "{}");
      const listener = new Listener(program, strange.url, file);
      assert.deepEqual([await listener.tells(), await listener.tells()].sort(), ["ann 0", "bob 0"]);
      assert.match(listener.said, /Not now\./);
      errors.push({ message: "Never again.", extensions: { retryable: false } });
      strange.breaks();
      assert.equal(await listener.ends(), "Never again.");
      strange.stop();
    });

    test("a session that is over ends it", async () => {
      const listener = await listens(() => ({ accessToken: "over", refreshToken: "wrong" }));
      assert.match(await listener.ends(), /log in again/i);
    });
  });
}
