/** What a room may take from another room: anything its index offers, or its types only. */
export type Access = "all" | "types";

/** One room of `packages/apiforge/src` and what it may import. */
export interface RoomRule {
  /** Rooms it may import, through their `index.ts`; `"*"` means every room but `cli`, the outermost. */
  readonly rooms: Readonly<Record<string, Access>> | "*";
  /** False when only `node:` modules may be imported beside them. */
  readonly packages: boolean;
  /** True when `import()` may take a computed path, which no check can follow. */
  readonly computedImports: boolean;
}

function room(rooms: RoomRule["rooms"], rest: Partial<RoomRule> = {}): RoomRule {
  return { rooms, packages: true, computedImports: false, ...rest };
}

/**
 * The direction rule. A room is a folder of `packages/apiforge/src`; `features/*` stands for each
 * feature, and features meet only through the event log, so none names another. A room without a row
 * is a violation: whoever adds a room decides where it stands.
 */
export const roomRules: Readonly<Record<string, RoomRule>> = {
  kernel: room({}, { packages: false }),
  schema: room({ kernel: "all" }),
  resilience: room({ kernel: "all" }),
  store: room({ kernel: "all" }),
  "store/sqlite": room({ store: "all", kernel: "all" }),
  "store/postgres": room({ store: "all", kernel: "all" }),
  "store/redis": room({ store: "all", kernel: "all" }),
  durable: room({ store: "all", resilience: "all", schema: "all", kernel: "all" }),
  graphql: room({ gateway: "all", edge: "types", kernel: "all" }),
  kysely: room({ durable: "all", store: "all", kernel: "all" }),
  edge: room({ durable: "all", store: "types", resilience: "all", schema: "all", kernel: "all" }),
  gateway: room({ edge: "all", durable: "types", resilience: "all", schema: "all", kernel: "all" }),
  "features/*": room({
    edge: "types",
    durable: "all",
    store: "all",
    resilience: "all",
    schema: "all",
    kernel: "all",
  }),
  // The composition root, and the files at the top of `src` that only pass its names on. Both load
  // the user's configuration, whose path is known at run time only.
  app: room("*", { computedImports: true }),
  ".": room("*"),
  cli: room({ app: "all", kernel: "all" }, { computedImports: true }),
};

/** Where an optional peer of `apiforge` may be imported, and whether loading the room may load it. */
export interface PeerRule {
  readonly room: string;
  readonly load: "on-demand" | "with-its-room";
}

/** `apiforge` starts without its optional peers, so each is kept in one room. */
export const peerRules: Readonly<Record<string, PeerRule>> = {
  pg: { room: "store/postgres", load: "on-demand" },
  ioredis: { room: "store/redis", load: "on-demand" },
  // A subpath of its own (`apiforge/kysely`): who imports it has installed kysely.
  kysely: { room: "kysely", load: "with-its-room" },
  // `apiforge/graphql`, likewise.
  graphql: { room: "graphql", load: "with-its-room" },
};

/** Providers' SDKs: connectors bring them, `apiforge` itself knows none. */
export const providerSdk =
  /^(stripe|twilio|octokit|googleapis|@(stripe|slack|aws-sdk|smithy|octokit|google-cloud|azure)\/.+)$/;

/**
 * Which names of this repository the production code of a workspace may import, by the workspace's
 * folder. A workspace without a row is a violation.
 */
export const workspaceRules: readonly { readonly folder: RegExp; readonly ours: RegExp }[] = [
  // Rooms reach each other by relative paths, and nothing else of ours is below them.
  { folder: /^packages\/apiforge$/, ours: /^$/ },
  // A fake that shares code with the client shares its bugs.
  { folder: /^packages\/sandbox$/, ours: /^$/ },
  // It runs in browsers, and its types are the routes' own.
  { folder: /^packages\/client$/, ours: /^$/ },
  { folder: /^packages\/connector-[a-z]+$/, ours: /^apiforge\/resilience$/ },
  // What a user can install: no internals, no test kit.
  {
    folder: /^examples\/[a-z-]+$/,
    ours: /^(apiforge(\/(?!internal\/).+)?|@apiforge\/(client(\/react)?|connector-[a-z]+|sandbox|example-[a-z-]+))$/,
  },
  { folder: /^packages\/testing$/, ours: /./ },
  { folder: /^bench$/, ours: /./ },
];
