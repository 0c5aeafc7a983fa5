// Two instances with a shared PostgreSQL and Redis, and npm clients graphql-ws on both.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { createClient } from "graphql-ws";

import { PASSWORD, ask, code, data, signUp } from "./support/ask.js";
import { Inbox } from "./support/inbox.js";
import { answerTo, signUpWithPhone } from "./support/phone.js";
import { upload } from "./support/picture.js";
import { Postgres } from "./support/postgres.js";
import { Redis } from "./support/redis.js";
import { Server } from "./support/server.js";
import { within } from "./support/within.js";

const ANN = "+31612345678";
const OWN = "subscription { avatarChanged { userId version avatar { url } } }";
const OF_ANN = "subscription ($id: ID) { avatarChanged(userId: $id) { userId version avatar { url } } }";
const OF_CONTACTS = "subscription { contactAvatarChanged { userId version avatar { url } } }";
const ADD_CONTACT = "mutation ($input: AddContactInput!) { addContact(input: $input) { profile { id } } }";
const REQUEST_CODE = "mutation { requestCode(purpose: DELETE_ACCOUNT) { id } }";
const DELETE_ACCOUNT = `mutation ($input: DeleteAccountInput!) {
  deleteAccount(input: $input) { id avatarRemoved sessionsEnded socketsClosed }
}`;
const REFRESH = "mutation ($token: String!) { refreshSession(refreshToken: $token) { accessToken } }";

const isInstalled = Postgres.isInstalled && Redis.isInstalled;

describe("two instances", { skip: !isInstalled && "needs postgres and redis-server" }, () => {
  let postgres, redis, one, other, ann, bob, files;
  /** All subscriptions, on both instances. */
  let watched;
  const clients = [];

  before(async () => {
    [postgres, redis] = await Promise.all([Postgres.start(), Redis.start()]);
    files = mkdtempSync(join(tmpdir(), "files-"));
    const settings = {
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      FILE_STORE: files,
      PUBLIC_URL: "http://switchboard.example",
      SECRET_KEYS: `1:${randomBytes(32).toString("base64")}`,
    };
    one = await Server.start(settings);
    other = await Server.start(settings);
    ann = await signUpWithPhone([one, other], "ann", ANN);
    bob = await signUp(other, "bob");
    const variables = { input: { name: "Ann", phone: ANN } };
    await data(one, ADD_CONTACT, { variables, token: bob.accessToken });
    watched = [one, other].map((server) => {
      const [annas, bobs] = [ann, bob].map((tokens) => socketOf(server, tokens));
      return {
        own: watch(annas, OWN),
        ofAnn: watch(bobs, OF_ANN, { id: ann.user.id }),
        ofContacts: watch(bobs, OF_CONTACTS),
        closed: annas.closed,
      };
    });
  });
  after(async () => {
    clients.forEach((client) => client.dispose());
    await Promise.all([one?.stop(), other?.stop()]);
    await Promise.all([redis?.kill(), postgres?.stop()]);
    if (files) rmSync(files, { recursive: true });
  });

  /** A user's socket, which reconnects if it may. */
  function socketOf(server, { accessToken }) {
    let resolveClosed;
    const closed = new Promise((closed) => (resolveClosed = closed));
    const client = createClient({
      url: server.socketUrl,
      connectionParams: { authorization: `Bearer ${accessToken}` },
      on: { closed: resolveClosed },
    });
    clients.push(client);
    return Object.assign(client, { closed });
  }

  function watch(client, query, variables) {
    const inbox = new Inbox();
    client.subscribe({ query, variables }, inbox);
    return inbox;
  }

  const inboxes = (of = watched) => of.flatMap(({ own, ofAnn, ofContacts }) => [own, ofAnn, ofContacts]);

  /** Asserts that the next event in each inbox is this version of Ann's avatar. */
  async function all(version, of = inboxes()) {
    for (const inbox of of) {
      const { data, errors } = await inbox.value();
      assert.equal(errors, undefined);
      const [change] = Object.values(data);
      assert.deepEqual([change.userId, change.version], [ann.user.id, version]);
      assert.equal(change.avatar !== null, version % 2 === 1, "each second change is a removal");
    }
  }

  const remove = (server) => data(server, "mutation { removeAvatar { id } }", { token: ann.accessToken });

  test("a change on one instance is delivered on both, in order", async () => {
    await all(0);
    await upload(one, ann);
    await all(1);
    await remove(other);
    await all(2);
  });

  test("changes during a Redis outage are delivered once after it", async () => {
    await redis.kill();
    const [here, there] = watched.map((of) => inboxes([of]));
    await upload(one, ann);
    await all(3, here);
    await remove(one);
    await all(4, here);
    await redis.resume();
    // The other instance only delivers the current state, not both changes.
    await all(4, there);
    await upload(other, ann);
    await all(5);
    await remove(one);
    await all(6);
  });

  test("a deletion closes the sockets on both instances, and the account is gone", async () => {
    const { requestCode } = await data(one, REQUEST_CODE, { token: ann.accessToken });
    const verification = await answerTo([one, other], requestCode, ANN, ann.accessToken);
    const variables = { input: { password: PASSWORD, verification } };
    const { deleteAccount } = await data(one, DELETE_ACCOUNT, { variables, token: ann.accessToken });
    assert.deepEqual(deleteAccount, {
      id: ann.user.id,
      avatarRemoved: false,
      sessionsEnded: 1,
      socketsClosed: 1,
    });
    for (const { own, ofAnn, closed } of watched) {
      const { code: status, reason } = await within(closed, "a close");
      assert.deepEqual([status, reason], [4401, "The account has been deleted."]);
      assert.equal((await own.take()).error.code, 4401, "it does not come back");
      assert.equal(code({ errors: (await ofAnn.take()).error }), "NOT_FOUND");
    }
    for (const server of [one, other]) {
      const { answer } = await ask(server, "{ me { id } }", { token: ann.accessToken });
      assert.deepEqual([answer.data.me, code(answer)], [null, "ACCOUNT_DELETED"]);
      const bought = await ask(server, REFRESH, { variables: { token: ann.refreshToken } });
      assert.equal(code(bought.answer), "ACCOUNT_DELETED");
    }
  });

  test("contacts with the number see the next user who verifies it", async () => {
    ann = await signUpWithPhone([other, one], "ann", ANN);
    await all(0, watched.map(({ ofContacts }) => ofContacts));
    await upload(one, ann);
    await all(1, watched.map(({ ofContacts }) => ofContacts));
  });
});
