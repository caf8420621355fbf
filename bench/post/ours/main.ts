import { projects } from "@apiforge/example-projects";
import { collectStartGarbage } from "@apiforge/example-server/start-garbage";
import { createForge, runForge } from "apiforge";

const slack = { send: async () => undefined };

/**
 * Ours: the projects system of the examples, whose job hands its message to a Slack that does
 * nothing, as the peer's job does. Prints `APIForge ready on http://…` once requests are served.
 */
export async function serve(): Promise<void> {
  const forge = await createForge([projects(slack)]);
  collectStartGarbage();
  await runForge(forge);
}
