// The files of docs/src/frontend.md in Chromium, on a page of another origin than the server's.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { PASSWORD, data, signUp } from "./support/ask.js";
import { Chromium } from "./support/chromium.js";
import { upload } from "./support/picture.js";
import { PRODUCT } from "./support/programs.js";
import { Server } from "./support/server.js";
import { Site } from "./support/site.js";

const PACKAGES = ["@apollo/client", "apollo-upload-client", "graphql", "graphql-ws", "rxjs"];
const PAGE = `<!DOCTYPE html>
<title>Avatars and a leaderboard</title>
<script type="module">
  import { gql } from "@apollo/client";
  import { followAvatar, uploadAvatar } from "/frontend/avatar.js";
  import { createClient } from "/frontend/client.js";
  import { explain } from "/frontend/errors.js";
  import { login, logout } from "/frontend/login.js";
  import { Session } from "/frontend/session.js";

  const LEADERBOARD = gql\`
    subscription { leaderboardChanged { id entries { id profile { id displayName } rounds } } }
  \`;
  const ME = gql\`query { me { id nickname avatar { id url version } } }\`;

  /** Starts the page before anybody logs in. What it would show is in \`shown\`. */
  window.start = (url) => {
    const session = new Session(url);
    const client = createClient(session);
    const shown = { rounds: {}, states: 0, me: null, lost: null };
    client.subscribe({ query: LEADERBOARD }).subscribe(({ data }) => {
      const rows = data.leaderboardChanged.entries.map(({ profile, rounds }) => [profile.displayName, rounds]);
      shown.rounds = Object.fromEntries(rows);
      shown.states += 1;
    });
    window.page = {
      shown,
      login: (name, password) => login(client, session, name, password),
      logout: () => logout(client, session),
      showAvatar() {
        shown.lost = null;
        const screen = client.watchQuery({ query: ME, nextFetchPolicy: "cache-only" });
        screen.subscribe(({ data }) => (shown.me = data?.me ?? null));
        followAvatar(client, { lost: (error) => (shown.lost = explain(error).form) });
      },
      upload: (bytes) => uploadAvatar(client, new File([new Uint8Array(bytes)], "me.gif", { type: "image/gif" })),
      explain: () => login(client, session, "ann", "").catch((error) => explain(error)),
    };
  };
</script>`;

const START_ROUND = "mutation { startRound(game: COIN_FLIP) { id } }";
const PLAY = "mutation ($input: PlayGameInput!) { playGame(input: $input) { id } }";

describe("in a browser", { skip: !Chromium.isInstalled && "needs chromium" }, () => {
  let server, site, browser;
  before(async () => {
    server = await Server.start({}, PRODUCT);
    site = await Site.start(PAGE, PACKAGES);
    browser = await Chromium.start();
  });
  after(async () => {
    await browser?.stop();
    site?.stop();
    await server?.stop();
  });

  /** Opens the page. Its sockets and its unhandled errors are noted. */
  async function open() {
    const page = await browser.newPage();
    const [sockets, problems] = [[], []];
    page.on("websocket", (socket) => sockets.push(socket));
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.goto(site.url);
    await page.waitForFunction(() => window.start);
    await page.evaluate((url) => window.start(url), server.url);
    const shows = (expected) =>
      page.waitForFunction(
        (expected) => Object.entries(expected).every(([name, value]) => {
          const shown = name.split(".").reduce((object, name) => object?.[name], window.page.shown);
          return JSON.stringify(shown) === JSON.stringify(value);
        }),
        expected,
        { timeout: 15_000 },
      );
    return { page, sockets, problems, shows };
  }

  /** Plays a round, which changes the leaderboard. */
  async function play({ accessToken: token }) {
    const { startRound } = await data(server, START_ROUND, { token });
    const input = { roundId: startRound.id, move: { coinFlip: "HEADS" }, clientSeed: "seed" };
    await data(server, PLAY, { variables: { input }, token });
  }

  test("a public subscription comes first, and private ones work after each login", async () => {
    const [ann, bob] = [await signUp(server, "ann"), await signUp(server, "bob")];
    const { page, sockets, problems, shows } = await open();
    await shows({ states: 1 });
    await play(ann);
    await shows({ rounds: { ann: 1 } });

    await page.evaluate((password) => window.page.login("ann", password), PASSWORD);
    await page.evaluate(() => window.page.showAvatar());
    await shows({ "me.nickname": "ann", "me.avatar": null });
    await upload(server, ann);
    await shows({ "me.avatar.version": 1, lost: null });
    await play(ann);
    await shows({ rounds: { ann: 2 } });

    await page.evaluate(() => window.page.logout());
    await shows({ lost: ["Sign in first."] });
    await play(ann);
    await shows({ rounds: { ann: 3 } });

    await page.evaluate((password) => window.page.login("bob", password), PASSWORD);
    await page.evaluate(() => window.page.showAvatar());
    await shows({ "me.nickname": "bob", "me.avatar": null });
    await upload(server, bob);
    await shows({ "me.avatar.version": 1, lost: null });
    await play(bob);
    await shows({ "rounds.bob": 1 });
    // One for nobody, and one more after each login and logout.
    assert.equal(sockets.length, 4);
    assert.deepEqual(problems, []);
  });

  test("files are uploaded from a page of another origin", async () => {
    const { page, problems, shows } = await open();
    await signUp(server, "cid");
    await page.evaluate((password) => window.page.login("cid", password), PASSWORD);
    await page.evaluate(() => window.page.showAvatar());
    await shows({ "me.nickname": "cid" });
    const pixel = [...Buffer.from("R0lGODdhAQABAIAAAP///////ywAAAAAAQABAAACAkQBADs=", "base64")];
    await page.evaluate((bytes) => window.page.upload(bytes), pixel);
    await shows({ "me.avatar.version": 1 });
    assert.deepEqual(problems, []);
  });

  test("a server that cannot be reached is explained", async () => {
    const { page } = await open();
    await page.context().setOffline(true);
    const { form } = await page.evaluate(() => window.page.explain());
    await page.context().setOffline(false);
    assert.deepEqual(form, ["The server cannot be reached. Try again."]);
  });
});
