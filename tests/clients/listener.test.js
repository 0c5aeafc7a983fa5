// The programs of docs/src/listener.md, each with its own server.

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

/** A listener process, started with a file of tokens. */
class Listener {
  constructor([program, ...rest], url, file) {
    const env = { PATH: process.env.PATH, SWITCHBOARD_URL: url, SWITCHBOARD_TOKENS: file };
    this.process = spawn(program, rest, { env, stdio: ["ignore", "pipe", "pipe"] });
    running.add(this.process);
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    this.output = "";
    this.process.stderr.on("data", (text) => (this.output += text));
    this.ended = once(this.process, "close").then(([status]) => status);
    this.ended.finally(() => running.delete(this.process));
  }

  /** The next line as user and version. */
  async nextChange() {
    const next = this.lines.next().then(({ value, done }) => {
      if (done) throw new Error(`It ended: ${this.output}`);
      return JSON.parse(value);
    });
    const { profile, version, avatar } = await within(next, "a line");
    assert.equal(avatar !== null, version > 0 && version !== 3, "the third is a removal");
    return `${profile.displayName} ${version}`;
  }

  /** Waits until it ends, and returns its last line. */
  async lastLine() {
    assert.equal(await within(this.ended, "its end"), 1, this.output);
    return this.output.trimEnd().split("\n").at(-1);
  }
}

/** A fake server that responds to a subscription once, as configured. */
class FakeServer {
  /** `answer` creates the response to the subscription of a field. */
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
    return Object.assign(new FakeServer(), { sockets, url: `http://127.0.0.1:${sockets.address().port}` });
  }

  /** Drops all its sockets without a close frame. */
  dropConnections() {
    this.sockets.clients.forEach((socket) => socket.terminate());
  }

  stop() {
    this.sockets.close();
    this.dropConnections();
  }
}

for (const [how, program] of Object.entries(PROGRAMS)) {
  describe(how, () => {
    let server, ann, bob, file;
    before(async () => {
      // The tokens contain its URL, which is known once it has started.
      server = await Server.start({ PUBLIC_URL: "http://switchboard.example" });
      ann = await signUp(server, "ann");
      bob = await signUpWithPhone([server], "bob", BOB);
      const input = { name: "Bob", phone: BOB };
      await data(server, ADD_CONTACT, { variables: { input }, token: ann.accessToken });
      file = join(server.folder, "tokens.json");
    });
    after(() => server?.stop());

    /** Starts it with the tokens of a new session, modified by these changes. */
    async function startListener(change = (tokens) => tokens) {
      const input = { identifier: "ann", password: PASSWORD };
      const { accessToken, refreshToken } = (await data(server, LOGIN, { variables: { input } })).login;
      writeFileSync(file, JSON.stringify(change({ accessToken, refreshToken })), { mode: 0o600 });
      return new Listener(program, server.url, file);
    }

    test("it reports each change once, even if the token expires or the server restarts", async () => {
      const listener = await startListener((tokens) => ({ ...tokens, accessToken: "expired" }));
      assert.deepEqual([await listener.nextChange(), await listener.nextChange()].sort(), ["ann 0", "bob 0"]);
      const { accessToken: token, refreshToken } = JSON.parse(readFileSync(file, "utf8"));
      assert.equal((await ask(server, "{ me { nickname } }", { token })).answer.data.me.nickname, "ann");
      assert.equal(statSync(file).mode & 0o777, 0o600);

      await upload(server, ann);
      assert.equal(await listener.nextChange(), "ann 1");
      await upload(server, bob);
      assert.equal(await listener.nextChange(), "bob 1");

      await server.restart();
      await upload(server, bob);
      assert.equal(await listener.nextChange(), "bob 2");
      await data(server, "mutation { removeAvatar { id } }", { token: bob.accessToken });
      assert.equal(await listener.nextChange(), "bob 3");

      await data(server, "mutation { logout }", { token });
      assert.equal(await listener.lastLine(), "4401: The session has ended.");
      assert.equal(JSON.parse(readFileSync(file, "utf8")).refreshToken, refreshToken);
    });

    test("it retries temporary errors and ends after permanent ones", async () => {
      const errors = [{ message: "Not now.", extensions: { retryable: true } }];
      const fakeServer = await FakeServer.start((field) => {
        const displayName = field === "avatarChanged" ? "ann" : "bob";
        const change = { userId: displayName, version: 0, profile: { displayName }, avatar: null };
        return errors.length ? { errors: [errors.pop()] } : { data: { [field]: change } };
      });
      writeFileSync(file, "{}");
      const listener = new Listener(program, fakeServer.url, file);
      assert.deepEqual([await listener.nextChange(), await listener.nextChange()].sort(), ["ann 0", "bob 0"]);
      assert.match(listener.output, /Not now\./);
      errors.push({ message: "Never again.", extensions: { retryable: false } });
      fakeServer.dropConnections();
      assert.equal(await listener.lastLine(), "Never again.");
      fakeServer.stop();
    });

    test("it ends with its session", async () => {
      const listener = await startListener(() => ({ accessToken: "expired", refreshToken: "wrong" }));
      assert.match(await listener.lastLine(), /log in again/i);
    });
  });
}
