// The legacy subprotocol `graphql-ws`, with the client of GraphQL Playground.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { SubscriptionClient } from "subscriptions-transport-ws";
import { WebSocket } from "ws";

import { addTo, code, data, signUp } from "./support/ask.js";
import { Inbox } from "./support/inbox.js";
import { Server } from "./support/server.js";

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

const clients = [];
after(() => clients.forEach((client) => client.close()));

function connect(connectionParams = {}) {
  const client = new SubscriptionClient(server.socketUrl, { connectionParams, lazy: true }, WebSocket);
  clients.push(client);
  return client;
}

function request(client, query, variables) {
  const inbox = new Inbox();
  client.request({ query, variables }).subscribe(inbox);
  return inbox;
}

test("queries and mutations return data", async () => {
  const client = connect();
  const operation = request(client, "query ($n: Int!) { number(value: $n) }", { n: 4 });
  assert.deepEqual((await operation.value()).data, { number: 4 });
  assert.deepEqual(await operation.take(), { complete: true });
  const changed = request(client, 'mutation { addTo(counter: "l") { value } }');
  assert.deepEqual((await changed.value()).data, { addTo: { value: 1 } });
});

test("subscriptions deliver events and complete", async () => {
  const client = connect();
  const watching = request(client, 'subscription { counterChanged(id: "legacy") { value } }');
  assert.equal((await watching.value()).data.counterChanged.value, 0);
  await addTo(server, "legacy");
  assert.equal((await watching.value()).data.counterChanged.value, 1);

  const counting = request(client, "subscription { countTo(last: 2) }");
  for (const expected of [1, 2]) assert.equal((await counting.value()).data.countTo, expected);
  assert.deepEqual(await counting.take(), { complete: true });
});

test("a rejected operation gets an error with a code", async () => {
  const client = connect();
  const refusals = {
    "subscription { nothing }": "GRAPHQL_VALIDATION_FAILED",
    "subscription { myCounterChanged { id } }": "UNAUTHENTICATED",
  };
  for (const [query, expected] of Object.entries(refusals)) {
    const event = await request(client, query).take();
    const error = event.error ?? event.value?.errors?.[0];
    assert.deepEqual([query, error?.extensions?.code], [query, expected]);
  }
});

test("the connection parameters determine the viewer until the session ends", async () => {
  const { accessToken: token, user } = await signUp(server, "ann");
  const client = connect({ Authorization: `Bearer ${token}` });
  const disconnected = new Promise((done) => client.onDisconnected(done));
  const inbox = request(client, "subscription { myCounterChanged { id } }");
  assert.equal((await inbox.value()).data.myCounterChanged.id, user.id);
  await data(server, "mutation { logout }", { token });
  await disconnected;
});

test("an invalid token gets connection_error", async () => {
  const client = connect({ Authorization: "Bearer wrong" });
  const connected = new Promise((done) => (client.connectionCallback = done));
  request(client, "{ number(value: 1) }");
  const error = await connected;
  assert.equal(code({ errors: [error] }), "UNAUTHENTICATED", JSON.stringify(error));
});
