// GraphQL over HTTP with `fetch` as in a browser, and protection against foreign pages.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { addTo, ask, code, signUp } from "./support/ask.js";
import { Server } from "./support/server.js";

const ALLOWED = "https://app.example";
const FOREIGN = "https://elsewhere.example";

let server;
before(async () => (server = await Server.start({ CORS_ORIGINS: ALLOWED })));
after(() => server?.stop());

const JSON_TYPE = { "content-type": "application/json" };
const post = (body, headers) => fetch(server.url, { method: "POST", headers, body });
const get = (parameters, headers) => fetch(`${server.url}?${new URLSearchParams(parameters)}`, { headers });
const ADD = 'mutation { addTo(counter: "csrf") { value } }';

/** Asserts that a rejected operation did not run. */
async function nothingRan() {
  assert.equal(await addTo(server, "csrf", 0), 0);
}

test("requests that a foreign page's form can send do not run", async () => {
  const body = JSON.stringify({ query: ADD });
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""]) {
    const response = await post(body, { "content-type": type });
    assert.deepEqual([type, response.status], [type, 415]);
    assert.equal(code(await response.json()), "BAD_REQUEST");
  }
  assert.equal((await post(new URLSearchParams({ query: ADD }))).status, 415);
  await nothingRan();
});

test("a multipart upload needs a token and a header that a foreign page cannot send", async () => {
  const { accessToken } = await signUp(server, "ann");
  const authorization = `Bearer ${accessToken}`;
  const upload = (headers) => {
    const form = new FormData();
    const query = "mutation ($file: Upload!) { keepFile(file: $file) { bytes } }";
    form.append("operations", JSON.stringify({ query, variables: { file: null } }));
    form.append("map", JSON.stringify({ 0: ["variables.file"] }));
    form.append("0", new Blob(["some"]), "some.txt");
    return post(form, headers);
  };
  for (const preflight of [{}, { "apollo-require-preflight": "" }]) {
    const response = await upload({ authorization, ...preflight });
    assert.equal(response.status, 400);
    assert.equal(code(await response.json()), "BAD_REQUEST");
  }
  for (const bad of [{}, { authorization: "Bearer wrong" }]) {
    const response = await upload({ "apollo-require-preflight": "true", ...bad });
    assert.equal(response.status, 401);
    assert.equal(code(await response.json()), "UNAUTHENTICATED");
  }
  for (const name of ["apollo-require-preflight", "graphql-require-preflight", "x-apollo-operation-name"]) {
    const response = await upload({ authorization, [name]: "Keep" });
    assert.deepEqual(await response.json(), { data: { keepFile: { bytes: 4 } } });
  }
});

test("a preflight succeeds for an allowed origin only", async () => {
  const preflight = (origin) =>
    fetch(server.url, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,apollo-require-preflight",
      },
    });
  const allowed = (await preflight(ALLOWED)).headers;
  assert.equal(allowed.get("access-control-allow-origin"), ALLOWED);
  assert.match(allowed.get("access-control-allow-methods"), /POST/);
  for (const name of ["authorization", "content-type", "apollo-require-preflight"]) {
    assert.match(allowed.get("access-control-allow-headers"), new RegExp(name, "i"));
  }
  assert.match(allowed.get("vary"), /origin/i);
  assert.equal(allowed.get("access-control-allow-credentials"), null);

  const foreign = await preflight(FOREIGN);
  assert.equal(foreign.headers.get("access-control-allow-origin"), null);
});

test("only allowed origins may read responses", async () => {
  const query = JSON.stringify({ query: "{ authenticated }" });
  const of = async (origin) => (await post(query, { ...JSON_TYPE, origin })).headers;
  assert.equal((await of(ALLOWED)).get("access-control-allow-origin"), ALLOWED);
  assert.match((await of(ALLOWED)).get("access-control-expose-headers"), /x-request-id/i);
  assert.equal((await of(FOREIGN)).get("access-control-allow-origin"), null);
  // A cache must not serve the response for one origin to another.
  assert.match((await of(FOREIGN)).get("vary"), /origin/i);
});

test("fields are returned in the order of the document", async () => {
  const query = "{ z: number(value: 1) a: items(first: 1) { items(first: 1) { id } id } m: authenticated }";
  const text = await (await post(JSON.stringify({ query }), JSON_TYPE)).text();
  assert.match(text, /^\{"data":\{"z":1,"a":\[\{"items":\[\{"id":\d+\}\],"id":\d+\}\],"m":false\}\}$/);
});

test("GET runs queries with an operation name and variables", async () => {
  const query = "query One($n: Int!) { number(value: $n) } query Two { authenticated }";
  const one = await get({ query, operationName: "One", variables: '{"n":3}' });
  assert.deepEqual(await one.json(), { data: { number: 3 } });
  const two = await get({ query, operationName: "Two" });
  assert.deepEqual(await two.json(), { data: { authenticated: false } });
  const neither = await get({ query });
  assert.equal(code(await neither.json()), "OPERATION_RESOLUTION_FAILURE");
});

test("GET does not run mutations, and other methods are rejected", async () => {
  const response = await get({ query: ADD });
  assert.equal(response.status, 405);
  assert.equal(response.headers.get("allow"), "POST");
  assert.equal(code(await response.json()), "BAD_REQUEST");
  for (const method of ["PUT", "PATCH", "DELETE"]) {
    const body = JSON.stringify({ query: ADD });
    const response = await fetch(server.url, { method, headers: JSON_TYPE, body });
    assert.deepEqual([method, response.status], [method, 405]);
    assert.match(response.headers.get("allow"), /\bGET\b.*\bPOST\b|\bPOST\b.*\bGET\b/);
  }
  await nothingRan();
});

test("a too large body is rejected", async () => {
  const query = `{ authenticated } # ${"x".repeat(2 << 20)}`;
  const response = await post(JSON.stringify({ query }), JSON_TYPE);
  assert.equal(response.status, 413);
  assert.equal(code(await response.json()), "BAD_REQUEST");
});

test("an unsupported Accept header is rejected", async () => {
  const body = JSON.stringify({ query: ADD });
  const response = await post(body, { ...JSON_TYPE, accept: "text/html" });
  assert.equal(response.status, 406);
  await nothingRan();
});

test("request errors have no data, and a 4xx status for the new media type only", async () => {
  const answers = {
    "{": "GRAPHQL_PARSE_FAILED",
    "{ nothing }": "GRAPHQL_VALIDATION_FAILED",
    "query ($n: Int!) { number(value: $n) }": "BAD_USER_INPUT",
    'mutation { addTo(counter: "csrf") { value } addTo(counter: 1) { value } }': "GRAPHQL_VALIDATION_FAILED",
  };
  for (const [query, expected] of Object.entries(answers)) {
    for (const [accept, status] of [
      ["application/graphql-response+json", 400],
      ["application/json", 200],
    ]) {
      const response = await ask(server, query, { headers: { accept } });
      assert.deepEqual([query, response.status], [query, status]);
      assert.match(response.headers.get("content-type"), new RegExp(`^${accept.replace("+", "\\+")}; charset=utf-8$`));
      assert.equal(code(response.answer), expected);
      assert.ok(!("data" in response.answer));
    }
  }
  await nothingRan();
});

test("batches are rejected", async () => {
  const response = await post(JSON.stringify([{ query: ADD }, { query: ADD }]), JSON_TYPE);
  assert.equal(response.status, 400);
  assert.equal(code(await response.json()), "BAD_REQUEST");
  await nothingRan();
});

test("the cost is returned on request", async () => {
  const { answer } = await ask(server, "{ items(first: 5) { id } }", { extensions: { cost: true } });
  const { requested, most } = answer.extensions.cost;
  assert.ok(requested >= 5 && requested <= most, JSON.stringify(answer));
  assert.equal((await ask(server, "{ authenticated }")).answer.extensions, undefined);
});

test("the request id is returned", async () => {
  const own = await ask(server, "{ nothing }", { headers: { "x-request-id": "my-request" } });
  assert.equal(own.headers.get("x-request-id"), "my-request");
  assert.equal(own.answer.errors[0].extensions.requestId, "my-request");
  assert.notEqual((await ask(server, "{ authenticated }")).headers.get("x-request-id"), "");
});
