import { repos } from "@apiforge/example-repos";
import { ApiForgeError, type System } from "apiforge";

/**
 * The repos system, which runs the GraphQL documents that `REPOS_DOCUMENTS` says; by default any.
 * @throws {config_invalid} for a value that is none.
 */
export function reposFor(documents = "any"): System {
  if (documents === "any" || documents === "listed") return repos({ documents });
  throw new ApiForgeError(
    "config_invalid",
    { type: "api_error", status: 500, retryable: false },
    `REPOS_DOCUMENTS: ${documents} is neither any nor listed.`,
  );
}
