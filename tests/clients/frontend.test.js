// The page for front-end developers: its operations and TypeScript are run through the code generator, the compiler
// and a server. The other tests of Apollo Client use its client.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual, promisify } from "node:util";

import { gql } from "@apollo/client";

import { createClient } from "./frontend/client.js";
import { explain } from "./frontend/errors.js";
import { answer, follow, login, sendAgain } from "./frontend/login.js";
import { Session } from "./frontend/session.js";
import { PASSWORD, code, data, signUp } from "./support/ask.js";
import { Inbox } from "./support/inbox.js";
import { Server } from "./support/server.js";

const folder = fileURLToPath(new URL("frontend/", import.meta.url));
const bin = fileURLToPath(new URL("node_modules/.bin/", import.meta.url));
const run = promisify(execFile);

let server, client, contacts;
before(async () => {
  server = await Server.start();
  await run(`${bin}graphql-codegen`, ["--config", "codegen.js"], {
    cwd: folder,
    env: { ...process.env, SWITCHBOARD_URL: server.url },
  });
  await run(`${bin}tsc`, [
    ...["--strict", "--skipLibCheck", "--verbatimModuleSyntax"],
    ...["--target", "es2022", "--module", "nodenext", "contacts.ts"],
  ], { cwd: folder });
  contacts = await import("./frontend/contacts.js");
  client = createClient(new Session(server.url, { tokens: await signUp(server, "ann") }));
});
after(async () => {
  client?.stop();
  await server?.stop();
});

test("types are generated from the server's schema", async () => {
  const types = readFileSync(`${folder}graphql.ts`, "utf8");
  assert.match(types, /phone: string, .*createdAt: string/);
  assert.match(types, /export type PhoneNumberType =/);
});

test("pages are merged, and mutation results update the cache", async () => {
  const add = (name, number) => contacts.addContact(client, name, `+3161234560${number}`, 2);
  const names = ({ data }) => data?.me.contacts.edges.map(({ node }) => node.name);

  for (const [number, name] of ["Bob", "Cid", "Dan"].entries()) await add(name, number);
  const { list, more } = contacts.watchContacts(client, 2);
  const screen = new Inbox();
  const watching = list.subscribe(screen);
  // What the screen shows after loading.
  const shows = async (...expected) => {
    let shown;
    do shown = await screen.value();
    while (!isDeepStrictEqual(names(shown), expected));
    return shown.data.me.contacts;
  };
  await shows("Bob", "Cid");
  await more();
  const [{ node: bob }] = (await shows("Bob", "Cid", "Dan")).edges;

  await contacts.renameContact(client, bob.id, "Bert");
  await shows("Bert", "Cid", "Dan");

  await contacts.removeContact(client, bob.id);
  assert.equal((await shows("Cid", "Dan")).totalCount, 2);

  await add("Abe", 4);
  assert.equal((await shows("Abe", "Cid")).totalCount, 3);
  watching.unsubscribe();
});

test("errors are shown per field", async () => {
  const error = await contacts.addContact(client, "", "+31 6 1").catch((error) => error);
  const { fields, form } = explain(error);
  assert.deepEqual(Object.keys(fields), ["name", "phone"]);
  assert.deepEqual(form, []);
  assert.deepEqual(explain(new TypeError("fetch failed")).form, ["The server cannot be reached. Try again."]);
});

const PHONE = "+31612345678";

/** The code of a challenge, once its SMS was sent. */
async function codeOf(client, challenge) {
  const updates = new Inbox();
  const end = follow(client, challenge, updates.next);
  while ((await updates.value()).delivery !== "SENT");
  end();
  const headers = { accept: "application/json" };
  const response = await fetch(`${server.origin}/dev/messages?to=${encodeURIComponent(PHONE)}`, { headers });
  const { messages } = (await response.json()).data;
  return messages.map(({ body }) => /\d{6}/.exec(body)?.[0]).find(Boolean);
}

const SIGNUP = `mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { accessToken refreshToken challenge { id } } }
}`;
const VERIFY_PHONE = `mutation ($verification: VerificationInput!) {
  verifyPhone(verification: $verification) { id }
}`;
const REQUEST_CODE = "mutation { requestCode(purpose: TWO_FACTOR) { id } }";
const TWO_FACTOR = `mutation ($verification: VerificationInput!) {
  setTwoFactor(enabled: true, verification: $verification) { id }
}`;

/** Signs up with the phone, and enables two-factor login. */
async function turnTwoFactorOn() {
  const variables = { input: { phone: PHONE, password: PASSWORD } };
  const tokens = (await data(server, SIGNUP, { variables })).signup;
  const { accessToken: token, challenge } = tokens;
  const owner = createClient(new Session(server.url, { tokens }));
  const verification = async ({ id }) => ({ challengeId: id, code: await codeOf(owner, { id }) });
  const verified = { verification: await verification(challenge) };
  await data(server, VERIFY_PHONE, { variables: verified, token });
  const { requestCode } = await data(server, REQUEST_CODE, { token });
  const proven = { verification: await verification(requestCode) };
  await data(server, TWO_FACTOR, { variables: proven, token });
  owner.stop();
}

test("a login with a code follows the delivery of the SMS and completes with the code", async () => {
  const session = new Session(server.url);
  const stranger = createClient(session);
  assert.equal(await login(stranger, session, "ann", PASSWORD), null);
  assert.ok(session.tokens);

  await turnTwoFactorOn();
  session.set(null);
  const challenge = await login(stranger, session, PHONE, PASSWORD);
  assert.equal(challenge.destination, "+31 •••••• 678");
  const early = await sendAgain(stranger, challenge).catch((error) => error);
  assert.equal(code(early), "RATE_LIMITED");

  const right = await codeOf(stranger, challenge);
  const wrong = right === "000000" ? "000001" : "000000";
  const refused = await answer(stranger, session, challenge, wrong).catch((error) => error);
  assert.deepEqual(Object.keys(explain(refused).fields), ["code"]);
  assert.equal(session.tokens, null);

  await answer(stranger, session, challenge, right);
  const { me } = (await stranger.query({ query: gql`query { me { phone twoFactorEnabled } }` })).data;
  assert.deepEqual(me, { __typename: "User", phone: PHONE, twoFactorEnabled: true });
  stranger.stop();
});
