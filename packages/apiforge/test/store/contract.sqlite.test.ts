import { storeContract } from "@apiforge/testing/contracts";
import { sqliteFile, sqliteMemory } from "./sqlite-fixture.ts";

storeContract(sqliteMemory);
storeContract(sqliteFile);
