// Chromium with a temporary profile.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";
// Without a network: requests to anything but this machine fail.
const ARGUMENTS = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

export class Chromium {
  #context;
  #profile;

  /** Whether Chromium is installed. With REQUIRE_CHROMIUM set it must be. */
  static get isInstalled() {
    const isInstalled = existsSync(PROGRAM);
    if (!isInstalled && process.env.REQUIRE_CHROMIUM) throw new Error("Chromium is required");
    return isInstalled;
  }

  /** Starts it with these options of Playwright's browser contexts. */
  static async start(options) {
    const browser = new Chromium();
    browser.#profile = mkdtempSync(join(tmpdir(), "chromium-"));
    browser.#context = await chromium.launchPersistentContext(browser.#profile, {
      executablePath: PROGRAM,
      args: ARGUMENTS,
      ...options,
    });
    return browser;
  }

  newPage() {
    return this.#context.newPage();
  }

  async stop() {
    await this.#context.close();
    rmSync(this.#profile, { recursive: true, force: true });
  }
}
