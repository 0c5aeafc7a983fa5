// Apollo Client 4 over HTTP, set up as in docs/src/frontend.md.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";

import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";

import { createClient } from "./frontend/client.js";
import { errorsOf } from "./frontend/errors.js";
import { persisted } from "./frontend/persisted.js";
import { Session } from "./frontend/session.js";
import { addTo, code, signUp } from "./support/ask.js";
import { Inbox } from "./support/inbox.js";
import { Server } from "./support/server.js";

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

const ME = gql`
  query Me {
    me {
      id
      nickname
    }
  }
`;

/** A client set up as documented, for a user who has just signed up. */
async function signedIn(nickname, change = (tokens) => tokens) {
  const tokens = await signUp(server, nickname);
  const session = new Session(server.url, { tokens: change(tokens) });
  return { client: createClient(session), session, tokens };
}

/** A client with an HTTP link only. */
const plain = (link) => new ApolloClient({ link, cache: new InMemoryCache() });

test("queries and mutations return data", async () => {
  const { client } = await signedIn("ann");
  assert.equal((await client.query({ query: ME })).data.me.nickname, "ann");
  const mutation = gql`
    mutation Add($by: Int!) {
      addTo(counter: "ann's", by: $by) {
        id
        value
      }
    }
  `;
  const answer = await client.mutate({ mutation, variables: { by: 3 } });
  assert.equal(answer.data.addTo.value, 3);
});

test("an invalid document gets an error with a code", async () => {
  const client = plain(new HttpLink({ uri: server.url }));
  const query = gql`
    {
      nothing
    }
  `;
  const error = await client.query({ query }).catch((error) => error);
  assert.ok(CombinedGraphQLErrors.is(error), error);
  assert.equal(code(error), "GRAPHQL_VALIDATION_FAILED");
});

test("an invalid variable gets an error with its field", async () => {
  const client = plain(new HttpLink({ uri: server.url }));
  const query = gql`
    query Number($value: Int!) {
      number(value: $value)
    }
  `;
  const error = await client.query({ query, variables: { value: "one" } }).catch((error) => error);
  assert.ok(CombinedGraphQLErrors.is(error), error);
  const { code, field } = error.errors[0].extensions;
  assert.deepEqual({ code, field }, { code: "BAD_USER_INPUT", field: "value" });
});

test("a failed field does not affect the data of others", async () => {
  const { client } = await signedIn("bob");
  const query = gql`
    {
      authenticated
      profile(id: "usr_unknown") {
        id
      }
      me {
        nickname
      }
    }
  `;
  const { data, error } = await client.query({ query, errorPolicy: "all" });
  assert.deepEqual(data, {
    authenticated: true,
    profile: null,
    me: { __typename: "User", nickname: "bob" },
  });
  assert.ok(CombinedGraphQLErrors.is(error), error);
  assert.deepEqual(error.errors[0].path, ["profile"]);
  assert.equal(code(error), "NOT_FOUND");
});

test("an expired token is refreshed once, and all failed operations are retried", async () => {
  const { client, session, tokens } = await signedIn("cid", (tokens) => ({ ...tokens, accessToken: "over" }));
  const pairs = [];
  session.changed = (tokens) => pairs.push(tokens);
  const options = { query: ME, fetchPolicy: "network-only", context: { queryDeduplication: false } };
  const answers = await Promise.all([client.query(options), client.query(options)]);
  assert.deepEqual(answers.map(({ data }) => data.me.nickname), ["cid", "cid"]);
  assert.equal(pairs.length, 1);
  assert.notEqual(pairs[0].refreshToken, tokens.refreshToken);
});

test("an operation sent with the old token that fails after the refresh does not refresh again", async () => {
  const { session } = await signedIn("eve");
  const old = session.headers.authorization;
  const pairs = [];
  session.changed = (tokens) => pairs.push(tokens);
  await session.refresh(old);
  await session.refresh(old);
  assert.equal(pairs.length, 1);
  assert.notEqual(session.headers.authorization, old);
});

test("with an invalid refresh token the session ends and the error is returned", async () => {
  const bad = { accessToken: "over", refreshToken: "wrong" };
  const { client, session } = await signedIn("dan", () => bad);
  const error = await client.query({ query: ME }).catch((error) => error);
  assert.equal(code(error), "UNAUTHENTICATED");
  assert.equal(session.tokens, null);
  // The client is signed out now, which is not an error.
  assert.equal((await client.query({ query: ME })).data.me, null);
});

test("multipart subscriptions deliver each event immediately", async () => {
  const client = plain(new HttpLink({ uri: server.url }));
  const query = gql`
    subscription {
      counterChanged(id: "multipart") {
        id
        value
      }
    }
  `;
  const inbox = new Inbox();
  const subscription = client.subscribe({ query }).subscribe(inbox);
  const value = async () => (await inbox.value()).data.counterChanged.value;
  assert.equal(await value(), 0);
  // Each addition waits for the previous event, so a delayed event would block the test.
  for (const expected of [1, 2, 3]) {
    await addTo(server, "multipart");
    assert.equal(await value(), expected);
  }
  subscription.unsubscribe();
});

test("multipart subscriptions complete, and report errors", async () => {
  const client = plain(new HttpLink({ uri: server.url }));
  const counted = new Inbox();
  client.subscribe({ query: gql`subscription { countTo(last: 3) }` }).subscribe(counted);
  for (const expected of [1, 2, 3]) assert.equal((await counted.value()).data.countTo, expected);
  assert.deepEqual(await counted.take(), { complete: true });

  const failing = new Inbox();
  client.subscribe({ query: gql`subscription { failsAfter(values: 1) }` }).subscribe(failing);
  assert.ok("failsAfter" in (await failing.value()).data);
  const { error } = await failing.value();
  assert.equal(code(error), "CONFLICT");

  const refused = new Inbox();
  client.subscribe({ query: gql`subscription { nothing }` }).subscribe(refused);
  assert.equal(code((await refused.value()).error), "GRAPHQL_VALIDATION_FAILED");
});

test("a query is registered at the first miss, and sent by its hash afterwards", async () => {
  const requests = [];
  const uri = server.url;
  const watched = async (input, init) => {
    const url = new URL(input);
    const sent = init.method === "GET" ? Object.fromEntries(url.searchParams) : JSON.parse(init.body);
    const response = await fetch(input, init);
    const { errors } = await response.clone().json();
    requests.push(`${init.method} ${sent.query ? "text" : "hash"}: ${code({ errors }) ?? "ok"}`);
    return response;
  };
  const client = plain(ApolloLink.from([persisted, new HttpLink({ uri, fetch: watched })]));
  const query = gql`
    query Persisted($value: Int!) {
      number(value: $value)
    }
  `;
  for (const value of [1, 2]) {
    assert.equal((await client.query({ query, variables: { value } })).data.number, value);
  }
  assert.deepEqual(requests, [
    "GET hash: PERSISTED_QUERY_NOT_FOUND",
    "POST text: ok",
    "GET hash: ok",
  ]);
});

test("files are uploaded", async () => {
  const { client } = await signedIn("hal");
  const mutation = gql`
    mutation Keep($file: Upload!, $files: [Upload!]!) {
      one: keepFile(file: $file) {
        ...Kept
      }
      more: keepFiles(files: $files) {
        ...Kept
      }
    }
    fragment Kept on KeptFile {
      name
      contentType
      bytes
      sha256
    }
  `;
  const texts = ["one", "twö", "3".repeat(100_000)];
  const [file, ...files] = texts.map((text, n) => new File([text], `${n}.txt`, { type: "text/plain" }));
  const { data } = await client.mutate({ mutation, variables: { file, files } });
  const kept = [data.one, ...data.more].map(({ __typename, ...kept }) => kept);
  const expected = texts.map((text, n) => ({
    name: `${n}.txt`,
    contentType: "text/plain",
    bytes: Buffer.byteLength(text),
    sha256: createHash("sha256").update(text).digest("hex"),
  }));
  assert.deepEqual(kept, expected);
});

test("an upload with an expired token is retried with a new one", async () => {
  const { client, session } = await signedIn("fay", (tokens) => ({ ...tokens, accessToken: "over" }));
  const mutation = gql`
    mutation Keep($file: Upload!) {
      keepFile(file: $file) {
        bytes
      }
    }
  `;
  // The error response must arrive while the client is still sending.
  const file = new Blob(["x".repeat(1_000_000)]);
  const { data } = await client.mutate({ mutation, variables: { file } });
  assert.equal(data.keepFile.bytes, file.size);
  assert.notEqual(session.tokens.accessToken, "over");
});

test("uploads for administrators are rejected for players", async () => {
  const { client } = await signedIn("gus");
  const mutation = gql`
    mutation Import($file: Upload!) {
      importFile(file: $file) {
        bytes
      }
    }
  `;
  const file = new Blob(["x".repeat(5_000_000)]);
  const error = await client.mutate({ mutation, variables: { file } }).catch((error) => error);
  assert.equal(code({ errors: errorsOf(error) }), "FORBIDDEN", error);
});
