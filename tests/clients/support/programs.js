// Paths of the programs under test: cargo's output, unless the environment overrides them.

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const built = (path) => fileURLToPath(new URL(`../../../target/debug/${path}`, import.meta.url));

/** The server with additional fields for tests. */
export const LIVE = resolve(process.env.SWITCHBOARD_LIVE ?? built("examples/live"));

/** The product. */
export const PRODUCT = resolve(process.env.SWITCHBOARD_PRODUCT ?? built("switchboard"));

/** The Rust program of docs/src/listener.md. */
export const LISTENER = resolve(process.env.SWITCHBOARD_LISTENER ?? built("listener"));
