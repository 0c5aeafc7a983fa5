// The page for front-end developers: its operations and TypeScript go through the generator, the compiler
// and a server. Its client is what the other tests of Apollo Client use.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual, promisify } from "node:util";

import { createClient } from "./frontend/client.js";
import { explain } from "./frontend/errors.js";
import { Session } from "./frontend/session.js";
import { signUp } from "./support/ask.js";
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

test("pages are joined, and the cache follows what mutations answer", async () => {
  const add = (name, number) => contacts.addContact(client, name, `+3161234560${number}`, 2);
  const names = ({ data }) => data?.me.contacts.edges.map(({ node }) => node.name);

  for (const [number, name] of ["Bob", "Cid", "Dan"].entries()) await add(name, number);
  const { list, more } = contacts.watchContacts(client, 2);
  const screen = new Inbox();
  const watching = list.subscribe(screen);
  // What the screen shows in the end: between two pages it may show that it loads.
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

test("errors are explained field by field", async () => {
  const error = await contacts.addContact(client, "", "+31 6 1").catch((error) => error);
  const { fields, form } = explain(error);
  assert.deepEqual(Object.keys(fields), ["name", "phone"]);
  assert.deepEqual(form, []);
  assert.deepEqual(explain(new TypeError("fetch failed")).form, ["The server cannot be reached. Try again."]);
});
