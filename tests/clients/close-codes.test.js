// The close codes of graphql-transport-ws and its handshake, with a plain WebSocket.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { ask, code, signUp } from "./support/ask.js";
import { Server } from "./support/server.js";
import { within } from "./support/within.js";

const PROTOCOL = "graphql-transport-ws";
const ALLOWED = "https://app.example";
const OWN = "https://api.example";
const FOREIGN = "https://elsewhere.example";

let server;
before(async () => (server = await Server.start({ STREAMS_PER_USER: "2", CORS_ORIGINS: ALLOWED, PUBLIC_URL: OWN })));
after(() => server?.stop());

/** A WebSocket that can send any message, and records the received ones. */
class Bare {
  #received = [];
  #waiting = [];

  constructor(protocols = PROTOCOL, options) {
    this.socket = new WebSocket(server.socketUrl, protocols, options);
    this.opened = once(this.socket, "open");
    this.opened.catch(() => {});
    this.closed = once(this.socket, "close").then(([code, reason]) => ({ code, reason }));
    this.closed.catch(() => {});
    this.socket.on("message", (text) => {
      const message = JSON.parse(text);
      const waiting = this.#waiting.shift();
      if (waiting) waiting(message);
      else this.#received.push(message);
    });
  }

  /** An initialized socket. */
  static async acknowledged(payload) {
    const bare = new Bare();
    await bare.send({ type: "connection_init", payload });
    assert.deepEqual(await bare.nextMessage(), { type: "connection_ack" });
    return bare;
  }

  async send(message) {
    await this.opened;
    this.socket.send(typeof message === "object" && !Buffer.isBuffer(message) ? JSON.stringify(message) : message);
    return this;
  }

  nextMessage() {
    if (this.#received.length) return Promise.resolve(this.#received.shift());
    return within(new Promise((resolve) => this.#waiting.push(resolve)), "a message");
  }

  /** Waits for the close. Its reason must fit into the close frame. */
  async closes(expected) {
    const { code, reason } = await within(this.closed, `a close with ${expected}`);
    assert.equal(code, expected, String(reason));
    assert.ok(reason.length > 0 && reason.length <= 123, String(reason));
    return String(reason);
  }
}

const subscribe = (id, query) => ({ id, type: "subscribe", payload: { query } });
const LISTEN = 'subscription { counterChanged(id: "c") { value } }';

const BAD = {
  "text that is not JSON": "{",
  "JSON that is no object": "[]",
  "a message without a type": {},
  "a type that does not exist": { type: "start" },
  "a type with a very long name": { type: "é".repeat(10_000) },
  "a message of the server": { type: "next", id: "1", payload: {} },
  "a subscribe without an id": { type: "subscribe", payload: { query: "{ __typename }" } },
  "a subscribe with an empty id": subscribe("", "{ __typename }"),
  "a subscribe without a payload": { type: "subscribe", id: "1" },
  "a query that is no text": { type: "subscribe", id: "1", payload: { query: 1 } },
  "variables that are no object": { type: "subscribe", id: "1", payload: { query: "{ authenticated }", variables: [] } },
  "a complete without an id": { type: "complete" },
  "a ping with a payload that is no object": { type: "ping", payload: 1 },
  "a binary frame": Buffer.from([0, 255]),
};
for (const [what, message] of Object.entries(BAD)) {
  test(`4400: ${what}`, async () => {
    const bare = await Bare.acknowledged();
    await bare.send(message);
    await bare.closes(4400);
  });
}

test("4400: a connection_init whose payload is not an object", async () => {
  const bare = await new Bare().send({ type: "connection_init", payload: "token" });
  await bare.closes(4400);
});

test("4401: subscribe before connection_ack", async () => {
  const bare = await new Bare().send(subscribe("1", "{ __typename }"));
  await bare.closes(4401);
});

test("4403: an invalid token", async () => {
  for (const payload of [{ Authorization: "Bearer wrong" }, { headers: { authorization: "Bearer " } }]) {
    const bare = await new Bare().send({ type: "connection_init", payload });
    await bare.closes(4403);
  }
});

test("4408: connection_init timeout", async () => {
  await new Bare().closes(4408);
});

test("4409: the id of a running operation", async () => {
  const bare = await Bare.acknowledged();
  await bare.send(subscribe("same", LISTEN));
  assert.equal((await bare.nextMessage()).type, "next");
  await bare.send(subscribe("same", LISTEN));
  assert.match(await bare.closes(4409), /same/);
});

test("4409: the reason fits into the close frame even with a long id", async () => {
  const id = "é".repeat(128);
  const bare = await Bare.acknowledged();
  await bare.send(subscribe(id, LISTEN));
  assert.equal((await bare.nextMessage()).id, id);
  await bare.send(subscribe(id, LISTEN));
  await bare.closes(4409);
});

test("an id can be reused after its operation has ended", async () => {
  const bare = await Bare.acknowledged();
  for (const expected of [1, 2]) {
    await bare.send(subscribe("again", `{ number(value: ${expected}) }`));
    assert.equal((await bare.nextMessage()).payload.data.number, expected);
    assert.deepEqual(await bare.nextMessage(), { id: "again", type: "complete" });
  }
  // A rejected operation ends with its error.
  for (const _ of [1, 2]) {
    await bare.send(subscribe("again", "{ nothing }"));
    const { type, payload } = await bare.nextMessage();
    assert.equal(type, "error");
    assert.equal(code({ errors: payload }), "GRAPHQL_VALIDATION_FAILED");
  }
  // An operation completed by the client ends too. Completing an unknown id is allowed.
  await bare.send(subscribe("again", LISTEN));
  assert.equal((await bare.nextMessage()).type, "next");
  await bare.send({ id: "again", type: "complete" });
  await bare.send({ id: "never", type: "complete" });
  await bare.send(subscribe("again", "{ number(value: 3) }"));
  assert.equal((await bare.nextMessage()).payload.data.number, 3);
  bare.socket.close();
});

test("subscribe without a query gets an error", async () => {
  const bare = await Bare.acknowledged();
  await bare.send({ type: "subscribe", id: "1", payload: {} });
  const { type, payload } = await bare.nextMessage();
  assert.deepEqual([type, code({ errors: payload })], ["error", "BAD_REQUEST"]);
  bare.socket.close();
});

test("4429: a second connection_init", async () => {
  const bare = await Bare.acknowledged();
  await bare.send({ type: "connection_init" });
  await bare.closes(4429);
});

test("1013: too many sockets of one user", async () => {
  const { accessToken } = await signUp(server, "ann");
  const payload = { Authorization: `Bearer ${accessToken}` };
  const first = [await Bare.acknowledged(payload), await Bare.acknowledged(payload)];
  const third = await new Bare().send({ type: "connection_init", payload });
  await third.closes(1013);
  // A closed socket frees capacity.
  first[0].socket.close();
  await first[0].closed;
  const fourth = await Bare.acknowledged(payload);
  for (const bare of [first[1], fourth]) bare.socket.close();
});

test("a ping gets a pong with its payload, also before connection_ack", async () => {
  const bare = new Bare();
  for (const message of [{ type: "ping" }, { type: "ping", payload: { n: 1 } }]) {
    await bare.send(message);
    const { type, payload } = await bare.nextMessage();
    assert.deepEqual({ type, payload }, { type: "pong", payload: message.payload });
  }
  await bare.send({ type: "pong" });
  await bare.send({ type: "connection_init" });
  assert.equal((await bare.nextMessage()).type, "connection_ack");
  bare.socket.close();
});

test("the first known protocol of the client's list is selected", async () => {
  for (const [offered, chosen] of [
    [["graphql-transport-ws", "graphql-ws"], "graphql-transport-ws"],
    [["graphql-ws", "graphql-transport-ws"], "graphql-ws"],
    [["unknown", "graphql-transport-ws"], "graphql-transport-ws"],
    [["graphql-ws"], "graphql-ws"],
  ]) {
    const bare = new Bare(offered);
    await bare.opened;
    assert.deepEqual([offered, bare.socket.protocol], [offered, chosen]);
    bare.socket.close();
  }
});

/** The result of a handshake: an HTTP status or a close code. */
async function handshake(protocols, options) {
  const bare = new Bare(protocols, options);
  bare.socket.on("error", () => {});
  const refused = once(bare.socket, "unexpected-response").then(([, response]) => response.statusCode);
  const outcome = await Promise.race([refused, bare.closed.then(({ code }) => code), bare.opened.then(() => "open")]);
  bare.socket.terminate();
  return outcome;
}

test("an unknown protocol is rejected", async () => {
  assert.equal(await handshake(["unknown"]), 400);
  assert.equal(await handshake([]), 400);
});

test("handshakes from other origins are rejected", async () => {
  assert.equal(await handshake(PROTOCOL, { origin: FOREIGN }), 403);
  assert.equal(await handshake(PROTOCOL, { origin: ALLOWED }), "open");
  assert.equal(await handshake(PROTOCOL, { origin: OWN }), "open");
});

test("a too complex document is rejected on the socket as over HTTP", async () => {
  const deep = `{ ${"items(first: 100) { ".repeat(9)} id ${"}".repeat(9)} }`;
  const { answer } = await ask(server, deep);
  assert.equal(code(answer), "QUERY_TOO_COMPLEX");
  const bare = await Bare.acknowledged();
  await bare.send(subscribe("1", deep));
  const { type, payload } = await bare.nextMessage();
  assert.deepEqual([type, code({ errors: payload })], ["error", "QUERY_TOO_COMPLEX"]);
  bare.socket.close();
});
