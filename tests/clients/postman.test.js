// The Postman collection of docs/evidence, run by newman.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import newman from "newman";

import { Server } from "./support/server.js";

const collection = fileURLToPath(
  new URL("../../docs/evidence/switchboard.postman_collection.json", import.meta.url),
);

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

test("all requests of the collection pass their tests", async (t) => {
  const envVar = [{ key: "baseUrl", value: server.origin }];
  const { run } = await promisify(newman.run)({ collection, envVar });
  const { items, requests, assertions } = run.stats;
  t.diagnostic(JSON.stringify({ requests: requests.total, assertions: assertions.total }));
  assert.deepEqual(run.failures.map(({ source, error }) => `${source?.name}: ${error.message}`), []);
  assert.equal(requests.total, items.total);
  for (const { item, assertions } of run.executions) assert.ok(assertions?.length, `${item.name} tests nothing`);
});
