// The client graphql-ws, alone and under Apollo Client.

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

/** The whole outcome of a query or mutation over a socket. */
async function once(client, query, variables) {
  const answers = [];
  for await (const answer of client.iterate({ query, variables })) answers.push(answer);
  assert.equal(answers.length, 1);
  return answers[0];
}

/** A socket's client that never tries again by itself, and tells how it was closed. */
function socketOf(options) {
  let told;
  const closed = new Promise((closed) => (told = closed));
  const client = createSocket({
    url: server.socketUrl,
    retryAttempts: 0,
    ...options,
    on: { ...options?.on, closed: told },
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

test("the viewer is whoever the connection's parameters say", async () => {
  const tokens = await signUp(server, "ann");
  const { Authorization } = bearer(tokens);
  const forms = [{ Authorization }, { authorization: Authorization }, { headers: { Authorization } }];
  for (const connectionParams of [...forms, () => forms[0], async () => forms[2]]) {
    const { client } = socketOf({ connectionParams });
    assert.equal((await once(client, "{ me { nickname } }")).data.me.nickname, "ann");
  }
  assert.deepEqual(await once(socketOf().client, "{ me { nickname } }"), { data: { me: null } });
});

test("a socket that is not lazy is there before the first operation, and stays after the last", async () => {
  const sockets = [];
  const { client, closed } = socketOf({ lazy: false, on: { connected: (socket) => sockets.push(socket) } });
  for (const n of [1, 2]) await once(client, `{ number(value: ${n}) }`);
  assert.equal(sockets.length, 1);
  client.dispose();
  assert.equal((await closed).code, 1000);
});

test("a subscription tells the state, each change, and nothing after it was left", async () => {
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

test("errors belong to their operation", async () => {
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

test("a subscription that fails later tells its events first", async () => {
  const inbox = subscribe(socketOf().client, "subscription { failsAfter(values: 2) }");
  for (const _ of [1, 2]) assert.ok("failsAfter" in (await inbox.value()).data);
  const last = await inbox.take();
  assert.equal((last.error ?? last.value?.errors)?.[0].extensions.code, "CONFLICT");
});

test("somebody's own subscription needs a viewer and follows their counter", async () => {
  const tokens = await signUp(server, "bob");
  const { client } = socketOf({ connectionParams: bearer(tokens) });
  const inbox = subscribe(client, "subscription { myCounterChanged { id value } }");
  assert.equal((await inbox.value()).data.myCounterChanged.value, 0);
  await addTo(server, tokens.user.id, 5);
  assert.deepEqual((await inbox.value()).data.myCounterChanged, { id: tokens.user.id, value: 5 });
  client.dispose();
});

test("a bad token closes with 4403, and fresh parameters come back", async () => {
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
    // It would come back, if the code allowed it.
    const { client, closed } = socketOf({ connectionParams: bearer(tokens), retryAttempts: 5 });
    const inbox = subscribe(client, "subscription { myCounterChanged { value } }");
    await inbox.value();
    await end(tokens);
    const { code, reason } = await closed;
    assert.equal(code, 4401);
    assert.notEqual(reason, "");
    // Not complete: the stream did not come to its end.
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

test("Apollo Client as documented replaces a token that is over, on the socket too", async () => {
  const tokens = await signUp(server, "eve");
  const session = new Session(server.url, { tokens: { ...tokens, accessToken: "over" } });
  const client = createClient(session);
  const inbox = new Inbox();
  const query = gql`subscription { myCounterChanged { id value } }`;
  client.subscribe({ query }).subscribe(inbox);
  assert.equal((await inbox.value()).data.myCounterChanged.id, tokens.user.id);

  await data(server, "mutation { logout }", { token: session.tokens.accessToken });
  assert.match((await inbox.value()).error.message, /4401/);
  assert.equal(session.tokens, null);
});

test("a server that stops closes with 1001, and clients find it again", async () => {
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
  // It subscribes again and begins with the state.
  assert.equal((await inbox.value()).data.counterChanged.value, 0);
  await addTo(own, "restarted");
  assert.equal((await inbox.value()).data.counterChanged.value, 1);
  subscription.unsubscribe();
  await own.stop();
});
