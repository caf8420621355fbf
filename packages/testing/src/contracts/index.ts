export { contractTables, type OpenOptions, type OpenStore, type StoreFixture } from "./fixture.ts";
export { statement } from "./samples.ts";
export { storeContract } from "./store.ts";
