// A server that only runs the documents of a manifest, and Apollo Client, which sends their ids.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { print } from "graphql";
import { createClient as createSocket } from "graphql-ws";

import { ask, code } from "./support/ask.js";
import { Server } from "./support/server.js";

const DOCUMENTS = {
  Number: gql`
    query Number($value: Int!) {
      number(value: $value)
    }
  `,
  Add: gql`
    mutation Add($by: Int!) {
      addTo(counter: "trusted", by: $by) {
        id
        value
      }
    }
  `,
  Changed: gql`
    subscription Changed {
      counterChanged(id: "trusted") {
        id
        value
      }
    }
  `,
};
const hash = (document) => createHash("sha256").update(print(document)).digest("hex");
// Apollo Client adds __typename to the fields, and so do manifests generated for it.
const transformed = (document) => new InMemoryCache().transformDocument(document);
const operations = Object.entries(DOCUMENTS).map(([name, document]) => ({
  id: hash(transformed(document)),
  name,
  type: document.definitions[0].operation,
  body: print(transformed(document)),
}));
const textOf = (wanted) => operations.find(({ name }) => name === wanted).body;

let server, folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "manifest-"));
  const manifest = join(folder, "persisted-query-manifest.json");
  writeFileSync(manifest, JSON.stringify({ format: "apollo-persisted-query-manifest", version: 1, operations }));
  server = await Server.start({ TRUSTED_DOCUMENTS: manifest });
});
after(async () => {
  rmSync(folder, { recursive: true });
  await server?.stop();
});

function clientSending(generateHash) {
  const link = ApolloLink.from([
    new PersistedQueryLink({ generateHash, retry: () => false }),
    new HttpLink({ uri: server.url }),
  ]);
  return new ApolloClient({ link, cache: new InMemoryCache() });
}

test("documents of the manifest run by their ids", async () => {
  const client = clientSending(hash);
  const { data } = await client.query({ query: DOCUMENTS.Number, variables: { value: 9 } });
  assert.equal(data.number, 9);
  const added = await client.mutate({ mutation: DOCUMENTS.Add, variables: { by: 2 } });
  assert.equal(added.data.addTo.value, 2);
});

test("an unknown id gets an error", async () => {
  const client = clientSending(() => "0".repeat(64));
  const error = await client.query({ query: DOCUMENTS.Number, variables: { value: 1 } }).catch((error) => error);
  assert.ok(CombinedGraphQLErrors.is(error), error);
  assert.equal(code(error), "PERSISTED_QUERY_NOT_FOUND");
});

test("other documents do not run and cannot be registered", async () => {
  const other = "{ authenticated }";
  assert.ok(code((await ask(server, other)).answer));
  const sha256Hash = createHash("sha256").update(other).digest("hex");
  const extensions = { persistedQuery: { version: 1, sha256Hash } };
  assert.ok(code((await ask(server, other, { extensions })).answer));
  assert.ok(code((await ask(server, undefined, { extensions })).answer));
  const add = 'mutation { addTo(counter: "other") { value } }';
  assert.ok(code((await ask(server, add)).answer));
});

test("the text of a document of the manifest runs too", async () => {
  const { answer } = await ask(server, textOf("Number"), { variables: { value: 3 } });
  assert.deepEqual(answer, { data: { number: 3 } });
});

test("the manifest applies to sockets", async () => {
  const client = createSocket({ url: server.socketUrl, retryAttempts: 0 });
  const first = (payload) =>
    new Promise((resolve) => {
      const leave = client.subscribe(payload, {
        next: (answer) => (resolve(answer), leave()),
        error: (errors) => resolve({ errors }),
        complete: () => {},
      });
    });
  assert.ok(code(await first({ query: "{ authenticated }" })));
  const { data } = await first({ query: textOf("Changed") });
  assert.equal(data.counterChanged.id, "trusted");
});
