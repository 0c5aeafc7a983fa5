// docs/src/frontend.md: the code generator, the strict compiler and a server run its files. The other tests of Apollo
// Client use its client.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual, promisify } from "node:util";

import { gql } from "@apollo/client";

import { createClient } from "./frontend/client.js";
import { explain } from "./frontend/errors.js";
import { answer, follow, login, logout, sendAgain } from "./frontend/login.js";
import { Session } from "./frontend/session.js";
import { PASSWORD, addTo, code, data, signUp } from "./support/ask.js";
import { Inbox } from "./support/inbox.js";
import { upload } from "./support/picture.js";
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
  // Fails on any error of a type. The files are not written over those that other tests are loading.
  const compiled = run(`${bin}tsc`, ["--project", folder, "--outDir", `${folder}checked`]);
  await compiled.catch(({ stdout }) => assert.fail(stdout));
  contacts = await import("./frontend/checked/contacts.js");
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
});

const UNREACHABLE = { fields: {}, form: ["The server cannot be reached. Try again."] };
const ME = gql`query { me { id } }`;

test("a server that cannot be reached is explained", async () => {
  const proxy = createServer((request, response) => responses[request.url](response)).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const origin = `http://127.0.0.1:${proxy.address().port}`;
  const responses = {
    "/no-response": (response) => response.destroy(),
    "/half-a-response": (response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": 100 });
      response.write("{", () => response.destroy());
    },
    "/no-gateway": (response) => response.writeHead(502).end("<h1>Bad Gateway</h1>"),
    "/hotel": (response) => response.writeHead(200, { "content-type": "text/html" }).end("<h1>Welcome</h1>"),
  };
  const tokens = { accessToken: "expired", refreshToken: "good" };
  for (const url of Object.keys(responses)) {
    const session = new Session(origin + url, { tokens });
    const stranger = createClient(session);
    const failed = await stranger.query({ query: ME }).catch((error) => error);
    assert.deepEqual(explain(failed), UNREACHABLE, url);
    const refreshing = await session.refresh(session.headers.authorization).catch((error) => error);
    assert.deepEqual(explain(refreshing), UNREACHABLE, url);
    assert.equal(session.tokens, tokens);
    stranger.stop();
  }
  proxy.close();
});

test("a bug of the page is not taken for an error of the network", () => {
  const bug = new TypeError("undefined is not an object");
  assert.throws(() => explain(bug), bug);
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

  const wrong = { verification: { ...proven.verification, code: "000000" } };
  const refused = await owner.mutate({ mutation: gql(TWO_FACTOR), variables: wrong }).catch((error) => error);
  assert.deepEqual(Object.keys(explain(refused).fields), ["verification.code"]);
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

const COUNTER = gql`subscription { counterChanged(id: "early") { value } }`;
const OWN_COUNTER = gql`subscription { myCounterChanged { id value } }`;

/** The events of a subscription, of which each is a counter or an error. */
function subscribe(client, query) {
  const inbox = new Inbox();
  client.subscribe({ query }).subscribe(inbox);
  return async () => {
    const { data, error } = await inbox.value();
    return error ?? Object.values(data)[0];
  };
}

test("subscriptions follow logins and logouts, also if a public one came first", async () => {
  const users = {};
  for (const name of ["fay", "gil"]) users[name] = (await signUp(server, name)).user.id;
  const session = new Session(server.url);
  const page = createClient(session);
  let counted = 0;
  const early = subscribe(page, COUNTER);
  const earlyIs = async (value) => assert.equal((await early()).value, value);
  /** Whether the public subscription is live. */
  const isLive = async () => {
    await addTo(server, "early");
    await earlyIs((counted += 1));
  };
  await earlyIs(0);
  await isLive();

  await login(page, session, "fay", PASSWORD);
  const own = subscribe(page, OWN_COUNTER);
  assert.equal((await own()).id, users.fay);
  await addTo(server, users.fay, 5);
  assert.equal((await own()).value, 5);
  await earlyIs(counted); // The state comes again on the new socket.
  await isLive();

  // New tokens for the same user leave the socket open, so no state comes again.
  await session.refresh(session.headers.authorization);
  await isLive();
  await addTo(server, users.fay);
  assert.equal((await own()).value, 6);

  await login(page, session, "gil", PASSWORD);
  assert.equal((await own()).id, users.gil);
  await earlyIs(counted);
  await isLive();

  await logout(page, session);
  assert.equal(code(await own()), "UNAUTHENTICATED");
  await earlyIs(counted);
  await isLive();

  // Another device ends the session.
  await login(page, session, "fay", PASSWORD);
  const again = subscribe(page, OWN_COUNTER);
  assert.equal((await again()).id, users.fay);
  await earlyIs(counted);
  await data(server, "mutation { logout }", { token: session.tokens.accessToken });
  assert.equal(code(await again()), "UNAUTHENTICATED");
  assert.equal(session.tokens, null);
  await earlyIs(counted);
  await isLive();
  page.stop();
});

test("tokens that arrive after the next user's login are dropped", async () => {
  const [first, second] = [await signUp(server, "hal"), await signUp(server, "ida")];
  const session = new Session(server.url, { tokens: first });
  const refreshed = session.refresh(session.headers.authorization);
  session.set(second);
  await refreshed;
  assert.equal(session.tokens, second);
});

test("a logout without a network signs out all the same", async () => {
  const unreachable = await Server.start();
  const session = new Session(unreachable.url, { tokens: await signUp(unreachable, "ann") });
  const page = createClient(session);
  await unreachable.stop();
  assert.deepEqual(explain(await logout(page, session).catch((error) => error)), UNREACHABLE);
  assert.equal(session.tokens, null);
  page.stop();
});

test("the settings for a phone in the same Wi-Fi let its page in", async () => {
  const text = readFileSync(new URL("../../docs/src/frontend.md", import.meta.url), "utf8");
  const [, block] = /^```sh settings\n([^]*?)^```$/m.exec(text);
  const settings = Object.fromEntries(block.trim().split("\n").map((line) => line.split("=")));
  const page = await Server.start({ ...settings, LISTEN: settings.LISTEN.replace("8000", "0") });
  const allowed = async (origin) => {
    const headers = { origin, "access-control-request-method": "POST" };
    const { headers: answer } = await fetch(page.url, { method: "OPTIONS", headers });
    return answer.get("access-control-allow-origin");
  };
  const { hostname } = new URL(settings.PUBLIC_URL);
  for (const origin of [`http://${hostname}:5173`, "http://localhost:5173"]) assert.equal(await allowed(origin), origin);
  assert.equal(await allowed(`http://${hostname}:9999`), null);

  const tokens = await signUp(page, "jan");
  await upload(page, tokens);
  const { me } = await data(page, "{ me { avatar { url } } }", { token: tokens.accessToken });
  assert.equal(new URL(me.avatar.url).origin, settings.PUBLIC_URL);
  await page.stop();
});
