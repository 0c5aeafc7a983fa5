// Avatars with Apollo Client, as in docs/src/frontend.md: screens are updated without another query.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { gql } from "@apollo/client";

import { followAvatar, followContactAvatars, removeAvatar, uploadAvatar } from "./frontend/avatar.js";
import { createClient } from "./frontend/client.js";
import { explain } from "./frontend/errors.js";
import { Session } from "./frontend/session.js";
import { code, data, signUp } from "./support/ask.js";
import { Inbox } from "./support/inbox.js";
import { signUpWithPhone } from "./support/phone.js";
import { picture } from "./support/picture.js";
import { Server } from "./support/server.js";

const BOB = "+31687654321";
const ME = gql`
  query Me {
    me {
      id
      avatar { id url version }
      profile { id avatar { id } }
    }
  }
`;
const CONTACTS = gql`
  query Contacts {
    me {
      id
      contacts(first: 10) {
        edges { node { id profile { id avatar { id url version } } } }
      }
    }
  }
`;
const ADD_CONTACT = "mutation ($input: AddContactInput!) { addContact(input: $input) { id profile { id } } }";
const REMOVE_CONTACT = "mutation ($id: ID!) { removeContact(id: $id) { id } }";

let server, ann, bob;
const clients = [];
before(async () => {
  server = await Server.start();
  ann = await signUp(server, "ann");
  bob = await signUpWithPhone([server], "bob", BOB);
});
after(async () => {
  clients.forEach((client) => client.stop());
  await server?.stop();
});

/** A user's client with its own cache. */
function clientOf(tokens) {
  const client = createClient(new Session(server.url, { tokens }));
  clients.push(client);
  return client;
}

/** A screen that shows the result of a query. It queries the server once; later updates come from the cache. */
function screen(client, query) {
  const results = new Inbox();
  const options = { query, fetchPolicy: "cache-first", nextFetchPolicy: "cache-only" };
  client.watchQuery(options).subscribe(results);
  return {
    /** What it shows after loading. */
    async shows(version, avatarOf) {
      for (;;) {
        const { data } = await results.value();
        const avatar = data && avatarOf(data);
        if (data && (avatar?.version ?? null) === version) return avatar;
      }
    },
  };
}

const own = ({ me }) => {
  assert.equal(me.profile.avatar?.id, me.avatar?.id);
  return me.avatar;
};
const contacts = ({ me }) => me.contacts.edges[0].node.profile.avatar;

test("uploads and removals are shown immediately", async () => {
  const client = clientOf(ann);
  const { shows } = screen(client, ME);
  await shows(null, own);
  await uploadAvatar(client, picture());
  const { url } = await shows(1, own);
  const { status, headers } = await fetch(new URL(new URL(url).pathname, server.origin));
  assert.deepEqual([status, headers.get("content-type")], [200, "image/webp"]);
  await removeAvatar(client);
  await shows(null, own);
});

test("a file that is not a picture gets an error with its field", async () => {
  const page = new File(["<!DOCTYPE html>"], "me.png", { type: "image/png" });
  const error = await uploadAvatar(clientOf(ann), page).catch((error) => error);
  assert.deepEqual(Object.keys(explain(error).fields), ["file"]);
});

test("the user's other devices and the contacts' screens are updated by events", async () => {
  const phone = clientOf(bob);
  const tablet = clientOf(bob);
  const annas = clientOf(ann);
  const variables = { input: { name: "Bob", phone: BOB } };
  const { addContact } = await data(server, ADD_CONTACT, { variables, token: ann.accessToken });
  const own = screen(tablet, ME);
  const list = screen(annas, CONTACTS);
  await own.shows(null, ({ me }) => me.avatar);
  await list.shows(null, contacts);
  const lost = new Inbox();
  const leave = [
    followAvatar(tablet),
    followContactAvatars(annas, { lost: lost.error }),
    followAvatar(clientOf(ann), { userId: addContact.profile.id, lost: lost.error }),
  ];
  for (const version of [1, 2]) {
    await uploadAvatar(phone, picture());
    const shown = await own.shows(version, ({ me }) => me.avatar);
    assert.deepEqual(await list.shows(version, contacts), shown);
  }
  await removeAvatar(phone);
  await own.shows(null, ({ me }) => me.avatar);
  await list.shows(null, contacts);

  await data(server, REMOVE_CONTACT, { variables: { id: addContact.id }, token: ann.accessToken });
  assert.equal(code((await lost.take()).error), "NOT_FOUND");
  leave.forEach((leave) => leave());
});
