import type { UserIds } from "../unprivileged-user.ts";

/** What the supervisor is started with, as JSON in its only argument. */
export interface SupervisorSettings {
  /** First part of the name of the directory that it makes under the system's temporary directory. */
  readonly name: string;
  /** Owner of the directory and user of the children; absent = the user of the tests. */
  readonly user?: UserIds | undefined;
  /** Signal that ends the child quickly and without leaving processes of its own behind. */
  readonly stopSignal: NodeJS.Signals;
}

/** A program to run, in the supervisor's directory. */
export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** One line of JSON on the supervisor's stdin. */
export type SupervisorRequest = { readonly id: number } & (
  | { readonly op: "run"; readonly child: ChildCommand }
  | { readonly op: "start"; readonly child: ChildCommand; readonly readyText: string }
  | { readonly op: "signal"; readonly signal: NodeJS.Signals }
);

/**
 * One line of JSON on the supervisor's stdout: the answer to the request with the same `id`, or with
 * `id` 0 that it is up. `detail` is the directory (id 0), the child's process id (`start`), or what
 * went wrong with the end of the child's output (`failed`).
 */
export interface SupervisorReply {
  readonly id: number;
  readonly outcome: "done" | "failed";
  readonly detail: string;
}
