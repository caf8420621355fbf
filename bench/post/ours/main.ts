import { projects } from "@apiforge/example-projects";
import { createForge, runForge } from "apiforge";

/*
 * Ours: the projects system of the examples, whose job hands its message to a Slack that does
 * nothing, as the peer's job does. Prints `APIForge ready on http://…` once requests are served.
 */
const slack = { send: async () => undefined };

await runForge(await createForge([projects(slack)]));
