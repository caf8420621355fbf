export { contractTables, type OpenOptions, type OpenStore, type StoreFixture } from "./fixture.ts";
export { sampleEvent, sampleJob, statement } from "./samples.ts";
export { storeContract } from "./store.ts";
