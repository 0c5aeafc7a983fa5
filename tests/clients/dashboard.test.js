// Apollo Client with panels that show parts of a dashboard.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";

import { PASSWORD, data, signUp } from "./support/ask.js";
import { Inbox } from "./support/inbox.js";
import { PRODUCT } from "./support/programs.js";
import { Server } from "./support/server.js";

let server, authorization;
before(async () => {
  server = await Server.start({}, PRODUCT);
  await signUp(server, "olga");
  await server.command("admin", "grant", "olga");
  const login = `mutation ($input: LoginInput!) { login(input: $input) { ... on AuthTokens { accessToken } } }`;
  const variables = { input: { identifier: "olga", password: PASSWORD } };
  authorization = `Bearer ${(await data(server, login, { variables })).login.accessToken}`;
});
after(() => server?.stop());

const INPUT = "input: { from: $from, bucket: DAY }";
const PANELS = [
  `totals { id rounds }`,
  `totals { id users newUsers } messages { id sent }`,
  `series { id start rounds }`,
  `series { id start newUsers } games { id game rounds }`,
  `games { id game winRate } coins { id reason credited }`,
  `coins { id reason debited } messages { id failed } topPlayers { id rank }`,
].map((fields) => gql(`query Panel($from: DateTime!) { dashboard(${INPUT}) { id ${fields} } }`));

/** Opens all panels, for two ranges, and returns how many requests they made. */
async function countRequests(typePolicies) {
  let requests = 0;
  const counter = new ApolloLink((operation, forward) => {
    requests += 1;
    return forward(operation);
  });
  const http = new HttpLink({ uri: server.url, headers: { authorization } });
  const client = new ApolloClient({ link: ApolloLink.from([counter, http]), cache: new InMemoryCache({ typePolicies }) });
  const panels = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"].flatMap((from) =>
    PANELS.map((query) => {
      const inbox = new Inbox();
      const complete = ({ loading, data }) => !loading && data && inbox.next(data);
      client.watchQuery({ query, variables: { from } }).subscribe(complete);
      return inbox;
    }),
  );
  await Promise.all(panels.map((panel) => panel.value()));
  // Time enough for a panel to notice that another one took its data away.
  for (let round = 0; round < 5; round++) {
    await client.query({ query: gql`{ me { id } }`, fetchPolicy: "no-cache" });
    requests -= 1;
  }
  client.stop();
  return requests;
}

test("panels with different figures of one dashboard ask once each", async () => {
  assert.equal(await countRequests(), 2 * PANELS.length);
});

test("without the ids of its parts they would ask again and again", async () => {
  const parts = ["DashboardTotals", "DashboardPoint", "GameStats", "MessageTotals", "CoinTotals"];
  const requests = await countRequests(Object.fromEntries(parts.map((part) => [part, { keyFields: false }])));
  assert.ok(requests > 3 * PANELS.length, `${requests} requests`);
});
