// The programs that the tests start, where cargo puts them unless the environment says otherwise.

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const built = (path) => fileURLToPath(new URL(`../../../target/debug/${path}`, import.meta.url));

/** The server with a few fields more. */
export const LIVE = resolve(process.env.SWITCHBOARD_LIVE ?? built("examples/live"));

/** docs/src/listener.md in Rust. */
export const LISTENER = resolve(process.env.SWITCHBOARD_LISTENER ?? built("listener"));
