// The npm client graphql-ws, alone and as a link of Apollo Client.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ApolloClient, CombinedGraphQLErrors, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient as createSocket } from "graphql-ws";

import { createClient } from "./frontend/client.js";
import { Session } from "./frontend/session.js";
import { addTo, code, data, signUp } from "./support/ask.js";
import { Inbox } from "./support/inbox.js";
import { Server } from "./support/server.js";

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

const bearer = ({ accessToken }) => ({ Authorization: `Bearer ${accessToken}` });
const subscribe = (client, query, inbox = new Inbox()) => {
  client.subscribe({ query }, inbox);
  return inbox;
};

/** The result of a query or mutation over a socket. */
async function once(client, query, variables) {
  const answers = [];
  for await (const answer of client.iterate({ query, variables })) answers.push(answer);
  assert.equal(answers.length, 1);
  return answers[0];
}

/** A client that does not reconnect, and reports how the socket was closed. */
function socketOf(options) {
  let resolveClosed;
  const closed = new Promise((closed) => (resolveClosed = closed));
  const client = createSocket({
    url: server.socketUrl,
    retryAttempts: 0,
    ...options,
    on: { ...options?.on, closed: resolveClosed },
  });
  return { client, closed };
}

test("queries and mutations run over the socket", async () => {
  const { client } = socketOf();
  assert.deepEqual(await once(client, "query ($n: Int!) { number(value: $n) }", { n: 7 }), {
    data: { number: 7 },
  });
  const added = await once(client, 'mutation { addTo(counter: "socket", by: 2) { id value } }');
  assert.equal(added.data.addTo.value, 2);
});

test("the connection parameters determine the viewer", async () => {
  const tokens = await signUp(server, "ann");
  const { Authorization } = bearer(tokens);
  const forms = [{ Authorization }, { authorization: Authorization }, { headers: { Authorization } }];
  for (const connectionParams of [...forms, () => forms[0], async () => forms[2]]) {
    const { client } = socketOf({ connectionParams });
    assert.equal((await once(client, "{ me { nickname } }")).data.me.nickname, "ann");
  }
  assert.deepEqual(await once(socketOf().client, "{ me { nickname } }"), { data: { me: null } });
});

test("a non-lazy socket is open before the first operation and after the last", async () => {
  const sockets = [];
  const { client, closed } = socketOf({ lazy: false, on: { connected: (socket) => sockets.push(socket) } });
  for (const n of [1, 2]) await once(client, `{ number(value: ${n}) }`);
  assert.equal(sockets.length, 1);
  client.dispose();
  assert.equal((await closed).code, 1000);
});

test("a subscription delivers the state and each change until it is cancelled", async () => {
  const { client, closed } = socketOf();
  const inbox = new Inbox();
  const leave = client.subscribe({ query: 'subscription { counterChanged(id: "a") { id value } }' }, inbox);
  const next = async () => (await inbox.value()).data.counterChanged.value;
  assert.equal(await next(), 0);
  for (const expected of [1, 2, 3]) {
    await addTo(server, "a");
    assert.equal(await next(), expected);
  }
  leave();
  assert.deepEqual(await inbox.take(), { complete: true });
  assert.equal((await closed).code, 1000);
});

test("many operations share one socket", async () => {
  const sockets = [];
  const { client } = socketOf({ on: { connected: (socket) => sockets.push(socket) } });
  const watching = ["x", "y"].map((id) => subscribe(client, `subscription { counterChanged(id: "${id}") { id value } }`));
  for (const inbox of watching) assert.equal((await inbox.value()).data.counterChanged.value, 0);
  const answers = [1, 2, 3].map((n) => once(client, `{ number(value: ${n}) }`));
  assert.deepEqual((await Promise.all(answers)).map(({ data }) => data.number), [1, 2, 3]);
  await once(client, 'mutation { addTo(counter: "y") { value } }');
  assert.deepEqual((await watching[1].value()).data.counterChanged, { id: "y", value: 1 });
  await once(client, 'mutation { addTo(counter: "x") { value } }');
  assert.deepEqual((await watching[0].value()).data.counterChanged, { id: "x", value: 1 });
  assert.equal(sockets.length, 1);
  await client.dispose();
});

test("a subscription completes", async () => {
  const inbox = subscribe(socketOf().client, "subscription { countTo(last: 2) }");
  assert.equal((await inbox.value()).data.countTo, 1);
  assert.equal((await inbox.value()).data.countTo, 2);
  assert.deepEqual(await inbox.take(), { complete: true });
});

test("errors are sent to their operation", async () => {
  const { client } = socketOf({ lazy: false });
  const refusals = {
    "{": "GRAPHQL_PARSE_FAILED",
    "{ nothing }": "GRAPHQL_VALIDATION_FAILED",
    "subscription { nothing }": "GRAPHQL_VALIDATION_FAILED",
    "query ($n: Int!) { number(value: $n) }": "BAD_USER_INPUT",
    "subscription { myCounterChanged { id } }": "UNAUTHENTICATED",
  };
  for (const [query, expected] of Object.entries(refusals)) {
    const { error } = await subscribe(client, query).take();
    assert.deepEqual([query, error?.[0]?.extensions.code], [query, expected]);
  }
  assert.equal((await once(client, "{ number(value: 1) }")).data.number, 1);
  client.dispose();
});

test("a subscription that fails later delivers its events first", async () => {
  const inbox = subscribe(socketOf().client, "subscription { failsAfter(values: 2) }");
  for (const _ of [1, 2]) assert.ok("failsAfter" in (await inbox.value()).data);
  const last = await inbox.take();
  assert.equal((last.error ?? last.value?.errors)?.[0].extensions.code, "CONFLICT");
});

test("a subscription to the viewer's counter needs a viewer", async () => {
  const tokens = await signUp(server, "bob");
  const { client } = socketOf({ connectionParams: bearer(tokens) });
  const inbox = subscribe(client, "subscription { myCounterChanged { id value } }");
  assert.equal((await inbox.value()).data.myCounterChanged.value, 0);
  await addTo(server, tokens.user.id, 5);
  assert.deepEqual((await inbox.value()).data.myCounterChanged, { id: tokens.user.id, value: 5 });
  client.dispose();
});

test("an invalid token closes with 4403, and new parameters reconnect", async () => {
  const tokens = await signUp(server, "cid");
  const codes = [];
  const offered = [{ Authorization: "Bearer wrong" }, bearer(tokens)];
  const { client } = socketOf({
    retryAttempts: 1,
    retryWait: async () => {},
    connectionParams: () => offered.shift(),
  });
  client.on("closed", ({ code }) => codes.push(code));
  assert.equal((await once(client, "{ me { nickname } }")).data.me.nickname, "cid");
  assert.equal(codes[0], 4403);
  assert.deepEqual(offered, []);
});

const ENDINGS = {
  "signing out": async ({ accessToken }) => data(server, "mutation { logout }", { token: accessToken }),
  "ending the session": async ({ accessToken: token }) => {
    const { me } = await data(server, "{ me { sessions { id current } } }", { token });
    const { id } = me.sessions.find(({ current }) => current);
    await data(server, "mutation ($id: ID!) { endSession(id: $id) { id } }", { token, variables: { id } });
  },
};
for (const [how, end] of Object.entries(ENDINGS)) {
  test(`${how} closes the socket with 4401, for good`, async () => {
    const tokens = await signUp(server, `dan-${how.split(" ")[0]}`);
    // The client would reconnect if the close code allowed it.
    const { client, closed } = socketOf({ connectionParams: bearer(tokens), retryAttempts: 5 });
    const inbox = subscribe(client, "subscription { myCounterChanged { value } }");
    await inbox.value();
    await end(tokens);
    const { code, reason } = await closed;
    assert.equal(code, 4401);
    assert.notEqual(reason, "");
    // Not completed: the stream was interrupted.
    assert.equal((await inbox.take()).error?.code, 4401);
  });
}

test("Apollo Client's link: events, errors, completion", async () => {
  const client = createClient(new Session(server.url));
  const subscribe = (query) => {
    const inbox = new Inbox();
    return { inbox, subscription: client.subscribe({ query }).subscribe(inbox) };
  };

  const { inbox, subscription } = subscribe(gql`subscription { counterChanged(id: "apollo") { id value } }`);
  assert.equal((await inbox.value()).data.counterChanged.value, 0);
  await addTo(server, "apollo");
  assert.equal((await inbox.value()).data.counterChanged.value, 1);
  subscription.unsubscribe();

  const counted = subscribe(gql`subscription { countTo(last: 1) }`).inbox;
  assert.equal((await counted.value()).data.countTo, 1);
  assert.deepEqual(await counted.take(), { complete: true });

  const refused = subscribe(gql`subscription { nothing }`).inbox;
  const { error } = await refused.value();
  assert.ok(CombinedGraphQLErrors.is(error), error);
  assert.equal(code(error), "GRAPHQL_VALIDATION_FAILED");
});

test("Apollo Client, set up as documented, refreshes an expired token on the socket too", async () => {
  const tokens = await signUp(server, "eve");
  const session = new Session(server.url, { tokens: { ...tokens, accessToken: "over" } });
  const client = createClient(session);
  const inbox = new Inbox();
  const query = gql`subscription { myCounterChanged { id value } }`;
  client.subscribe({ query }).subscribe(inbox);
  assert.equal((await inbox.value()).data.myCounterChanged.id, tokens.user.id);

  await data(server, "mutation { logout }", { token: session.tokens.accessToken });
  assert.equal(code((await inbox.value()).error), "UNAUTHENTICATED");
  assert.equal(session.tokens, null);
});

test("a server that shuts down closes with 1001, and clients reconnect", async () => {
  const own = await Server.start();
  let back;
  const isBack = new Promise((done) => (back = done));
  const codes = [];
  const socket = createSocket({
    url: own.socketUrl,
    shouldRetry: () => true,
    retryWait: () => isBack,
    on: { closed: ({ code }) => codes.push(code) },
  });
  const client = new ApolloClient({ link: new GraphQLWsLink(socket), cache: new InMemoryCache() });
  const inbox = new Inbox();
  const query = gql`subscription { counterChanged(id: "restarted") { id value } }`;
  const subscription = client.subscribe({ query }).subscribe(inbox);
  assert.equal((await inbox.value()).data.counterChanged.value, 0);

  await own.restart();
  assert.deepEqual(codes, [1001]);
  back();
  // It subscribes again and gets the state first.
  assert.equal((await inbox.value()).data.counterChanged.value, 0);
  await addTo(own, "restarted");
  assert.equal((await inbox.value()).data.counterChanged.value, 1);
  subscription.unsubscribe();
  await own.stop();
});
