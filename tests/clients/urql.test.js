// urql, its first version with uploads of its own and its newest.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { createClient as createSocket } from "graphql-ws";
import * as urql4 from "urql-core-4";
import * as urql6 from "urql-core-6";

import { addTo, signUp } from "./support/ask.js";
import { Inbox } from "./support/inbox.js";
import { picture } from "./support/picture.js";
import { Server } from "./support/server.js";

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

const KEEP = "mutation ($files: [Upload!]!) { keepFiles(files: $files) { name contentType bytes } }";
const UPLOAD = "mutation ($file: Upload!) { uploadAvatar(file: $file) { version } }";
const COUNTER = "subscription ($id: String!) { counterChanged(id: $id) { value } }";

for (const [name, urql] of Object.entries({ urql4, urql6 })) {
  describe(name, () => {
    const { Client, fetchExchange, subscriptionExchange } = urql;

    /** A client of a user who has just signed up. Files need the header of a preflight. */
    async function signedIn(nickname, options) {
      const { accessToken } = await signUp(server, `${name}-${nickname}`);
      const headers = { authorization: `Bearer ${accessToken}`, "apollo-require-preflight": "true" };
      const exchanges = [fetchExchange];
      return new Client({ url: server.url, exchanges, fetchOptions: { headers }, ...options });
    }

    const good = async (result) => {
      const { data, error } = await result;
      assert.ifError(error);
      return data;
    };

    test("queries and mutations return data, errors have a code", async () => {
      const client = await signedIn("ann");
      const query = "query ($n: Int!) { me { nickname } number(value: $n) }";
      const data = await good(client.query(query, { n: 3 }).toPromise());
      assert.deepEqual([data.me.nickname, data.number], [`${name}-ann`, 3]);
      const { error } = await client.query("{ nothing }", {}).toPromise();
      assert.equal(error.graphQLErrors[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
    });

    test("files are uploaded, alone and in lists", async () => {
      const client = await signedIn("bob");
      const { uploadAvatar } = await good(client.mutation(UPLOAD, { file: picture() }).toPromise());
      assert.equal(uploadAvatar.version, 1);
      const files = ["a", "bb"].map((text) => new File([text], `${text}.txt`, { type: "text/plain" }));
      const { keepFiles } = await good(client.mutation(KEEP, { files }).toPromise());
      const expected = ["a", "bb"].map((text) => ({
        name: `${text}.txt`,
        contentType: "text/plain",
        bytes: text.length,
      }));
      assert.deepEqual(keepFiles.map(({ __typename, ...file }) => file), expected);
    });

    test("subscriptions come over a socket or as server-sent events", async () => {
      const socket = createSocket({ url: server.socketUrl });
      const forwardSubscription = ({ query, variables }) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
      });
      const overSocket = { exchanges: [subscriptionExchange({ forwardSubscription })] };
      const ways = { socket: overSocket, events: { fetchSubscriptions: true } };
      // The older one takes the first event for the last.
      if (urql === urql4) delete ways.events;
      for (const [id, options] of Object.entries(ways)) {
        const client = await signedIn(id, options);
        const counter = `${name}-${id}`;
        const inbox = new Inbox();
        const { unsubscribe } = client.subscription(COUNTER, { id: counter }).subscribe(inbox.next);
        const next = async () => (await good(inbox.value())).counterChanged.value;
        assert.equal(await next(), 0, id);
        await addTo(server, counter, 7);
        assert.equal(await next(), 7, id);
        unsubscribe();
      }
      await socket.dispose();
    });
  });
}
