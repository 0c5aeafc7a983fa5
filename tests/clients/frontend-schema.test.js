// What docs/src/frontend.md says of the schema, compared with schema.graphql: unions, connections, lists and
// subscriptions.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { format } from "node:util";

import "./support/development.js";
import { InMemoryCache, gql } from "@apollo/client";
import { loadDevMessages } from "@apollo/client/dev";
import { buildSchema, getNamedType, getNullableType, isAbstractType, isListType, isObjectType } from "graphql";

import { possibleTypes, typePolicies } from "./frontend/cache.js";

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const schema = buildSchema(read("schema.graphql"));
const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith("__"));

/** A Relay connection: only these have a `pageInfo`. */
const isConnection = (type) => isObjectType(type) && "pageInfo" in type.getFields();
const PAGE = ["first", "after"];

/** How the cache must merge a field: a connection by the arguments that select another one, a list as a whole. */
function policyOf({ type, args }) {
  if (isConnection(getNullableType(type))) {
    const keyArgs = args.map(({ name }) => name).filter((name) => !PAGE.includes(name));
    return { keyArgs: keyArgs.length > 0 && keyArgs, merge: true };
  }
  const isObjects = isListType(getNullableType(type)) && isObjectType(getNamedType(type));
  return isObjects ? { merge: false } : undefined;
}

test("the possible types are those of the schema", () => {
  const unions = types.filter(isAbstractType);
  const members = (union) => schema.getPossibleTypes(union).map(({ name }) => name);
  assert.deepEqual(possibleTypes, Object.fromEntries(unions.map((union) => [union.name, members(union)])));
});

test("each connection and each list of the schema has its policy", () => {
  const expected = {};
  for (const type of types.filter((type) => isObjectType(type) && !isConnection(type))) {
    for (const field of Object.values(type.getFields())) {
      const policy = policyOf(field);
      if (policy) (expected[type.name] ??= {})[field.name] = policy;
    }
  }
  const actual = {};
  for (const [type, { fields }] of Object.entries(typePolicies)) {
    for (const [field, { keyArgs, merge }] of Object.entries(fields)) {
      (actual[type] ??= {})[field] = merge === false ? { merge } : { keyArgs, merge: Boolean(merge) };
    }
  }
  assert.deepEqual(actual, expected);
});

test("the table of subscriptions has all of them", () => {
  const [, table] = /^\| subscription \|.*\n\|[-|]+\|\n((?:\|.*\n)+)/m.exec(read("docs/src/frontend.md"));
  const named = Array.from(table.matchAll(/^\| `(\w+)`/gm), ([, name]) => name);
  assert.deepEqual(named.sort(), Object.keys(schema.getSubscriptionType().getFields()).sort());
});

/** The warnings and errors that Apollo Client prints while this runs. */
function printed(run) {
  const lines = [];
  const { warn, error } = console;
  console.warn = console.error = (...words) => lines.push(format(...words));
  try {
    run();
  } finally {
    Object.assign(console, { warn, error });
  }
  return lines;
}

const RESULT = gql`
  query Login { login { ...Result } }
  fragment Result on AuthResult { ... on CodeChallenge { id destination } }
`;
const LEADERBOARD = gql`
  query Leaderboard { leaderboard { id entries { id rank } around { id rank } } }
`;

/** Writes a result with a union, then a leaderboard with two entries, then with one. Returns what the cache has. */
function fill(cache) {
  const login = { __typename: "CodeChallenge", id: "chl_1", destination: "+31 •••••• 678" };
  cache.writeQuery({ query: RESULT, data: { login } });
  const entry = (id) => ({ __typename: "LeaderboardEntry", id, rank: 1 });
  for (const ids of [["1", "2"], ["3"]]) {
    const entries = ids.map(entry);
    const leaderboard = { __typename: "Leaderboard", id: "all", entries, around: entries };
    cache.writeQuery({ query: LEADERBOARD, data: { leaderboard } });
  }
  return {
    destination: cache.readQuery({ query: RESULT })?.login.destination,
    entries: cache.readQuery({ query: LEADERBOARD }).leaderboard.entries.map(({ id }) => id),
  };
}

test("the cache loses no data of a union and warns of no list", () => {
  loadDevMessages();
  let kept;
  assert.deepEqual(printed(() => (kept = fill(new InMemoryCache({ possibleTypes, typePolicies })))), []);
  assert.deepEqual(kept, { destination: "+31 •••••• 678", entries: ["3"] });
  // Without them it would lose the one and warn of both.
  const warnings = printed(() => (kept = fill(new InMemoryCache()))).join("\n");
  assert.equal(kept.destination, undefined);
  assert.match(warnings, /missing `possibleTypes` entry/);
  assert.match(warnings, /replacing the entries field of a Leaderboard/);
  assert.match(warnings, /replacing the around field of a Leaderboard/);
});
