import type { Documents, GraphQLServer } from "./server.ts";

/**
 * The GraphQL server, whose 600 modules are loaded with its first request: they take 15 MB
 * of a process. Until it is {@link prepare | prepared} it cannot serve.
 */
export class FirstUse {
  readonly #documents: Documents;
  #server: GraphQLServer | undefined;

  constructor(documents: Documents) {
    this.#documents = documents;
  }

  /** Loads it, outside of any transaction; undefined once it is there. */
  prepare(): Promise<void> | undefined {
    return this.#server === undefined ? this.#load() : undefined;
  }

  /** @throws {TypeError} before it is prepared. */
  get serve(): GraphQLServer {
    if (this.#server === undefined) throw new TypeError("The GraphQL server has not been loaded");
    return this.#server;
  }

  async #load(): Promise<void> {
    const { createGraphQLServer } = await import("./server.ts");
    this.#server ??= createGraphQLServer(this.#documents);
  }
}
