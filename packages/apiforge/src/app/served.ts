import type { Forge } from "./forge.ts";

/** What is run: a forge, or what stands around one. */
export type Served = Pick<Forge, "listen" | "drain" | "isReady" | "stop">;
