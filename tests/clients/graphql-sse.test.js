// The client graphql-sse in distinct connections mode.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createClient } from "graphql-sse";

import { addTo, code, data, signUp } from "./support/ask.js";
import { Inbox } from "./support/inbox.js";
import { Server } from "./support/server.js";

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

function streaming(options) {
  return createClient({ url: server.url, retryAttempts: 0, ...options });
}

function subscribe(query, options) {
  const inbox = new Inbox();
  const leave = streaming(options).subscribe({ query }, inbox);
  return Object.assign(inbox, { leave });
}

test("a subscription delivers the state and each change", async () => {
  const inbox = subscribe('subscription { counterChanged(id: "a") { id value } }');
  const next = async () => (await inbox.value()).data.counterChanged.value;
  assert.equal(await next(), 0);
  for (const expected of [1, 2, 3]) {
    await addTo(server, "a");
    assert.equal(await next(), expected);
  }
  inbox.leave();
  assert.deepEqual(await inbox.take(), { complete: true });
});

test("a subscription completes", async () => {
  const inbox = subscribe("subscription { countTo(last: 2) }");
  for (const expected of [1, 2]) assert.equal((await inbox.value()).data.countTo, expected);
  assert.deepEqual(await inbox.take(), { complete: true });
});

test("queries and mutations run", async () => {
  for (const [query, expected] of [
    ["{ number(value: 5) }", { number: 5 }],
    ['mutation { addTo(counter: "sse") { value } }', { addTo: { value: 1 } }],
  ]) {
    const inbox = subscribe(query);
    assert.deepEqual((await inbox.value()).data, expected);
    assert.deepEqual(await inbox.take(), { complete: true });
  }
});

test("errors are events, followed by complete", async () => {
  for (const [query, expected] of [
    ["{ nothing }", "GRAPHQL_VALIDATION_FAILED"],
    ["subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"],
    ["subscription {", "GRAPHQL_PARSE_FAILED"],
    ["subscription { myCounterChanged { id } }", "UNAUTHENTICATED"],
  ]) {
    const inbox = subscribe(query);
    assert.deepEqual([query, code(await inbox.value())], [query, expected]);
    assert.deepEqual(await inbox.take(), { complete: true });
  }
});

test("a subscription that fails later delivers its events first", async () => {
  const inbox = subscribe("subscription { failsAfter(values: 1) }");
  assert.ok("failsAfter" in (await inbox.value()).data);
  assert.equal(code(await inbox.value()), "CONFLICT");
  assert.deepEqual(await inbox.take(), { complete: true });
});

test("the header determines the viewer until the session ends", async () => {
  const { accessToken: token, user } = await signUp(server, "ann");
  const inbox = subscribe("subscription { myCounterChanged { id value } }", {
    headers: { Authorization: `Bearer ${token}` },
  });
  assert.deepEqual((await inbox.value()).data.myCounterChanged, { id: user.id, value: 0 });
  await data(server, "mutation { logout }", { token });
  const last = await inbox.take();
  assert.equal(code(last.value ?? {}), "UNAUTHENTICATED", JSON.stringify(last));
});

test("GET runs subscriptions, but not mutations", async () => {
  const get = (query) =>
    fetch(`${server.url}?${new URLSearchParams({ query })}`, { headers: { accept: "text/event-stream" } });
  const response = await get("subscription { countTo(last: 1) }");
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  assert.equal(
    (await response.text()).replace(/^:.*\n\n?/gm, ""),
    'event: next\ndata: {"data":{"countTo":1}}\n\nevent: complete\ndata:\n\n',
  );
  assert.equal((await get('mutation { addTo(counter: "g") { value } }')).status, 405);
});
