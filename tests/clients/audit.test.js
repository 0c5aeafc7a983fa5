// The GraphQL over HTTP audits of the package graphql-http.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { auditServer } from "graphql-http";

import { Server } from "./support/server.js";

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

test("all audits pass, including optional ones", async (t) => {
  const results = await auditServer({ url: server.url });
  const counts = { ok: 0, notice: 0, warn: 0, error: 0 };
  for (const { status } of results) counts[status] += 1;
  t.diagnostic(JSON.stringify(counts));
  const failed = results.filter(({ status }) => status !== "ok");
  assert.deepEqual(failed.map(({ status, id, name, reason }) => `${status} ${id} ${name}: ${reason}`), []);
  assert.equal(results.length, 61);
});
