export type { ChildCommand } from "./protocol.ts";
export { SupervisedProcess } from "./supervised-process.ts";
