export { faultyStore, type CommitFault, type FaultyStore } from "./faulty-store.ts";
