// The product's console in a real browser: signs up, logs in and adds a contact, each with a success and an error, flips
// a coin, and watches an avatar change. The page must show the server's responses. Saves screenshots in docs/evidence, or in
// the folder EVIDENCE.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { PASSWORD, code, data } from "./support/ask.js";
import { Chromium } from "./support/chromium.js";
import { upload } from "./support/picture.js";
import { PRODUCT } from "./support/programs.js";
import { Server } from "./support/server.js";

const PICTURES = process.env.EVIDENCE ?? fileURLToPath(new URL("../../docs/evidence", import.meta.url));

let server, browser;
before(async () => {
  server = await Server.start({}, PRODUCT);
  browser = await Chromium.start({
    viewport: { width: 1280, height: 800 },
    permissions: ["clipboard-read", "clipboard-write"],
    // So that screenshots differ only if the page does.
    extraHTTPHeaders: { "x-request-id": "evidence" },
  });
});
after(async () => {
  await browser?.stop();
  await server?.stop();
});

/** The console in a tab of the browser. */
class Console {
  static async open() {
    const opened = new Console();
    opened.page = await browser.newPage();
    opened.problems = [];
    opened.page.on("pageerror", (error) => opened.problems.push(String(error)));
    opened.page.on("requestfailed", (request) => opened.problems.push(request.url()));
    await opened.page.goto(`${server.origin}/`);
    await opened.page.locator(".graphiql-query-editor .view-line").first().waitFor();
    await opened.page.evaluate(() => document.fonts.ready);
    return opened;
  }

  /** Selects the tab of an operation. */
  async tab(name) {
    await this.page.locator(".graphiql-tab-button", { hasText: new RegExp(`^${name}$`) }).click();
    await this.page.locator(".graphiql-tab-active", { hasText: name }).waitFor();
  }

  /** Opens an empty tab. */
  async newTab() {
    await this.page.getByRole("button", { name: "New tab" }).click();
    await this.page.locator(".graphiql-tab-active", { hasText: "untitled" }).waitFor();
  }

  /** Enters the operation. The tab gets its name once GraphiQL has parsed it. */
  async operation(text) {
    await this.#write(".graphiql-query-editor", text);
    const [, name] = /^\w+ (\w+)/.exec(text);
    await this.page.locator(".graphiql-tab-active", { hasText: name }).waitFor();
  }

  async variables(values) {
    await this.#tool("Variables", values);
  }

  async headers(values) {
    await this.#tool("Headers", values);
    // The screenshot shall show the variables.
    await this.page.getByRole("button", { name: "Variables", exact: true }).click();
  }

  /** Runs the operation in the editors. Returns the server's response once the page shows it. */
  async run(operationName) {
    const isOperation = (request) =>
      request.method() === "POST" && request.postDataJSON()?.operationName === operationName;
    const responded = this.page.waitForResponse((response) => isOperation(response.request()));
    await this.page.locator(".graphiql-execute-button").click();
    const response = await responded;
    const answer = await response.json();
    await this.shows(answer);
    return { request: response.request().postDataJSON(), answer };
  }

  /** Waits until the page shows this whole response. */
  shows(answer) {
    return this.#holds(".result-window", JSON.stringify(answer));
  }

  async picture(name) {
    const style = ".cursors-layer { visibility: hidden !important; }";
    await this.page.mouse.move(900, 790);
    await this.page.screenshot({ path: join(PICTURES, `${name}.png`), animations: "disabled", style });
  }

  async #tool(name, values) {
    await this.page.getByRole("button", { name, exact: true }).click();
    await this.#write(`.graphiql-editor-tool .graphiql-editor:not(.hidden)`, JSON.stringify(values, null, 2));
  }

  /** Waits until an editor contains this text, ignoring white space. */
  async #holds(editor, text) {
    const holds = ([editor, text]) => {
      const top = (line) => parseFloat(line.style.top);
      const lines = [...document.querySelectorAll(`${editor} .view-line`)];
      const shown = lines.sort((a, b) => top(a) - top(b)).map((line) => line.textContent).join("");
      return shown.replace(/\s/g, "") === text.replace(/\s/g, "");
    };
    await this.page.waitForFunction(holds, [editor, text]);
  }

  async #write(editor, text) {
    await this.page.locator(`${editor} .view-lines`).click();
    await this.page.keyboard.press("Control+A");
    // Pasted, because the editor indents and closes brackets while typing.
    await this.page.evaluate((text) => navigator.clipboard.writeText(text), text);
    await this.page.keyboard.press("Control+V");
    await this.#holds(editor, text);
  }
}

// The operations do not select tokens, because the screenshots are published.
const SIGNUP = `mutation Signup($input: SignupInput!) {
  signup(input: $input) {
    ... on AuthTokens {
      tokenType
      expiresIn
      user { name phone role }
    }
  }
}`;
const LOGIN = `mutation Login($input: LoginInput!) {
  login(input: $input) {
    ... on AuthTokens {
      tokenType
      expiresIn
      user { name phone }
    }
  }
}`;
const ADD_CONTACT = `mutation AddContact($input: AddContactInput!) {
  addContact(input: $input) {
    name
    phone
    lookup {
      type
      countryCode
      international
      source
    }
  }
}`;
const AVATAR_CHANGED = `subscription AvatarChanged {
  avatarChanged {
    version
    profile { displayName }
    avatar { version }
  }
}`;
const ann = { phone: "+31612345678", name: "Ann", password: PASSWORD };
const user = { name: "Ann", phone: "+31612345678" };
const TOKENS = { tokenType: "Bearer", expiresIn: 600 };

test("signup", async () => {
  const page = await Console.open();
  await page.tab("Signup");
  await page.operation(SIGNUP);
  await page.variables({ input: ann });
  const good = await page.run("Signup");
  assert.equal(good.request.query, SIGNUP);
  assert.deepEqual(good.request.variables, { input: ann });
  assert.deepEqual(good.answer, { data: { signup: { ...TOKENS, user: { ...user, role: "PLAYER" } } } });
  await page.picture("signup-good");

  const { answer } = await page.run("Signup");
  assert.deepEqual(answer.data, { signup: null });
  assert.equal(code(answer), "IDENTIFIER_TAKEN");
  await page.picture("signup-failing");
  assert.deepEqual(page.problems, []);
});

test("login", async () => {
  const page = await Console.open();
  await page.tab("Login");
  await page.operation(LOGIN);
  await page.variables({ input: { identifier: ann.phone, password: PASSWORD } });
  const good = await page.run("Login");
  assert.deepEqual(good.answer, { data: { login: { ...TOKENS, user } } });
  await page.picture("login-good");

  await page.variables({ input: { identifier: ann.phone, password: "incorrect horse battery" } });
  const { answer } = await page.run("Login");
  assert.deepEqual(answer.data, { login: null });
  assert.equal(code(answer), "INVALID_CREDENTIALS");
  await page.picture("login-failing");
  assert.deepEqual(page.problems, []);
});

test("addContact", async () => {
  const query = `mutation ($input: LoginInput!) { login(input: $input) { ... on AuthTokens { accessToken } } }`;
  const variables = { input: { identifier: ann.phone, password: PASSWORD } };
  const { login } = await data(server, query, { variables });
  const page = await Console.open();
  await page.tab("AddContact");
  await page.operation(ADD_CONTACT);
  await page.headers({ Authorization: `Bearer ${login.accessToken}` });
  await page.variables({ input: { name: "Bob", phone: "+31 6 8765 4321" } });
  const good = await page.run("AddContact");
  const lookup = { type: "MOBILE", countryCode: "NL", international: "+31 6 87654321", source: "offline" };
  assert.deepEqual(good.answer, { data: { addContact: { name: "Bob", phone: "+31687654321", lookup } } });
  await page.picture("add-contact-good");

  await page.variables({ input: { name: "Cid", phone: "+31 6 1" } });
  const { answer } = await page.run("AddContact");
  assert.deepEqual(answer.data, { addContact: null });
  assert.equal(code(answer), "INVALID_PHONE_NUMBER");
  await page.picture("add-contact-failing");
  assert.deepEqual(page.problems, []);
});

test("a coin flip, from its start to its proof", async () => {
  const page = await Console.open();
  // An editor only has the visible lines in the page, and the variables of a play have nine lines.
  await page.page.setViewportSize({ width: 1280, height: 1000 });
  await page.tab("Signup");
  await page.variables({ input: { nickname: "cid", password: PASSWORD } });
  const { accessToken } = (await page.run("Signup")).answer.data.signup;
  const headers = { Authorization: `Bearer ${accessToken}` };

  await page.tab("StartRound");
  await page.headers(headers);
  const round = (await page.run("StartRound")).answer.data.startRound;

  await page.tab("PlayGame");
  await page.headers(headers);
  await page.variables({ input: { roundId: round.id, move: { coinFlip: "HEADS" }, clientSeed: "my lucky words" } });
  const played = (await page.run("PlayGame")).answer.data.playGame;
  assert.equal(played.won, played.outcome === 0);
  assert.deepEqual([played.points, played.reward], played.won ? [20, { balanceAfter: 1 }] : [0, null]);
  await page.picture("play-game");

  await page.tab("VerifyRound");
  await page.variables({ id: round.id });
  const { valid, explanation } = (await page.run("VerifyRound")).answer.data.verifyRound;
  assert.ok(valid);
  for (const part of [round.serverSeedHash, played.serverSeed, "my lucky words", round.id]) {
    assert.ok(explanation.includes(part), `${part}: ${explanation}`);
  }
  await page.picture("verify-round");
  assert.deepEqual(page.problems, []);
});

test("an avatar changes while a user who has just signed up watches it", async () => {
  const changed = (version, avatar) => ({
    data: { avatarChanged: { version, profile: { displayName: "bob" }, avatar } },
  });
  const page = await Console.open();
  await page.tab("Signup");
  await page.variables({ input: { nickname: "bob", password: PASSWORD } });
  const tokens = (await page.run("Signup")).answer.data.signup;
  await page.newTab();
  await page.headers({ Authorization: `Bearer ${tokens.accessToken}` });
  await page.operation(AVATAR_CHANGED);
  await page.page.locator(".graphiql-execute-button").click();
  await page.shows(changed(0, null));

  assert.equal(await upload(server, tokens), 1);
  await page.shows(changed(1, { version: 1 }));
  await page.picture("console");
  assert.deepEqual(page.problems, []);
});
