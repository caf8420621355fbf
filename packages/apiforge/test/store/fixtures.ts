import type { StoreFixture } from "@apiforge/testing/contracts";
import { postgres } from "./postgres-fixture.ts";
import { sqliteFile, sqliteMemory } from "./sqlite-fixture.ts";

/** Every kind of store; what is promised on top of the contract is tested on each. */
export const storeFixtures: readonly StoreFixture[] = [sqliteMemory, sqliteFile, postgres];
