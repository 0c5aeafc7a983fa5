// What a browser has and Node.js 20 has not.

import { WebSocket } from "ws";

globalThis.WebSocket ??= WebSocket;
