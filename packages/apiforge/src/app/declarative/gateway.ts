import { isDeepStrictEqual } from "node:util";
import { configure } from "safe-stable-stringify";

import { systemClock, type Metric } from "../../kernel/index.ts";
import type { Config } from "../config.ts";
import { createForge, type Forge, type ForgeChanges, type ForgeOptions } from "../forge.ts";
import { apiKeys } from "../keys/api-keys.ts";
import { workerLink } from "../processes/worker-link.ts";
import { compileGateway, type Compiled, type CompiledGateway, type Makers } from "./compile.ts";
import type { ConfigProblem } from "./problem.ts";
import { digestOf, revisionOf, type Change, type Revision } from "./revision.ts";
import { revisionRoute } from "./revision-route.ts";

/** What is no matter of a configuration file. */
export type GatewayOptions = Pick<ForgeOptions, "config" | "log" | "reporter" | "onError">;

/** A server whose configuration changes while it serves. */
export interface Gateway extends Omit<Forge, "replace"> {
  readonly revision: Revision;
  /**
   * Serves `config` from now on, with no request lost: those under way end by the one before. What upstreams
   * that stay as they are know of their endpoints goes on, as do the counts of limits of the same name.
   * One that cannot be served is refused with everything that is wrong with it.
   */
  change(config: unknown, digest?: string): Promise<Change>;
  /** Goes on with the configuration that is served, since another could not even be read. */
  refuse(problems: readonly ConfigProblem[]): Promise<Change>;
  /** Serves the configuration before; another rollback leads back. Refused when there is none. */
  rollback(): Promise<Change>;
}

/** A revision with what it serves. */
interface Served {
  readonly revision: Revision;
  readonly compiled: CompiledGateway;
}

const stringify = configure({ bigint: false, maximumDepth: 64 });
const nothingBefore: ConfigProblem = {
  path: "",
  problem: "has no revision before it",
  remedy: "Change the configuration instead.",
};

/** Serves one configuration after the other over one forge. */
class ChangingGateway {
  current: Served;
  previous: Served | undefined;
  refused: { readonly at: number; readonly problems: readonly ConfigProblem[] } | undefined;
  readonly #keys = apiKeys();
  readonly #counts = { active: 0, unchanged: 0, refused: 0 };
  #forge: Forge | undefined;
  #changing: Promise<unknown> = Promise.resolve();

  constructor(first: Served) {
    this.current = first;
  }

  async open(options: GatewayOptions): Promise<Forge> {
    const { compiled, revision } = this.current;
    this.#forge = await createForge(
      { open: (deployment) => this.#keys.open?.(deployment), ...this.#served(compiled) },
      { ...options, ...this.#changes(this.current), metrics: [() => this.#metrics()] },
    );
    this.#forge.log.info({ revision: revision.id }, "the configuration is served");
    return this.#forge;
  }

  change(compile: () => Compiled, digest: string): Promise<Change> {
    return this.#inTurn(async () => {
      const { revision } = this.current;
      if (digest === revision.digest) return this.#unchanged(revision);
      const { gateway, problems } = compile();
      return gateway === undefined ? this.#refuse(problems) : this.#serve(gateway, digest);
    });
  }

  refuse(problems: readonly ConfigProblem[]): Promise<Change> {
    return this.#inTurn(async () => this.#refuse(problems));
  }

  rollback(): Promise<Change> {
    return this.#inTurn(async () => {
      const { previous } = this;
      if (previous === undefined) return this.#refuse([nothingBefore]);
      return this.#serve(previous.compiled, previous.revision.digest);
    });
  }

  async #serve(compiled: CompiledGateway, digest: string): Promise<Change> {
    const number = (await sharedNumber(digest)) ?? this.current.revision.number + 1;
    const next = { compiled, revision: revisionOf(number, digest, systemClock.now()) };
    try {
      await this.#forge?.replace(this.#changes(next));
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      return this.#refuse([{ path: "", problem: "cannot be served", remedy: `${said}.` }]);
    }
    this.previous = this.current;
    this.current = next;
    this.refused = undefined;
    this.#counts.active += 1;
    const { revision } = next;
    this.#forge?.log.info({ revision: revision.id }, "the changed configuration is served");
    return { outcome: "active", revision };
  }

  #unchanged(revision: Revision): Change {
    this.#counts.unchanged += 1;
    return { outcome: "unchanged", revision };
  }

  #refuse(problems: readonly ConfigProblem[]): Change {
    this.#counts.refused += 1;
    this.refused = { at: systemClock.now(), problems };
    const fields = { revision: this.current.revision.id, problems };
    this.#forge?.log.error(fields, "the changed configuration is refused; the one before goes on");
    return { outcome: "refused", problems };
  }

  #inTurn(work: () => Promise<Change>): Promise<Change> {
    const done = this.#changing.then(work);
    this.#changing = done.catch(() => undefined);
    return done;
  }

  #served({ routes, stages, config }: CompiledGateway) {
    const own = [
      ...(config.apiKeys === true ? this.#keys.routes : []),
      ...(config.shown === true ? [revisionRoute(() => this.#state())] : []),
    ];
    return { routes: [...routes, ...own], stages };
  }

  #state() {
    const { revision, compiled } = this.current;
    const { refused, previous } = this;
    return { revision, previous: previous?.revision, refused, upstreams: compiled.upstreams };
  }

  #changes({ compiled, revision }: Served): ForgeChanges {
    const { issuers, limits = {}, cors, config } = compiled;
    return {
      ...this.#served(compiled),
      issuers,
      limits,
      ...(cors === undefined ? {} : { cors }),
      api: config.api ?? { title: "Gateway", version: "0.0.0" },
      revision: revision.id,
    };
  }

  #metrics(): readonly Metric[] {
    const { id, activatedAt } = this.current.revision;
    return [
      {
        name: "apiforge_config_revision_info",
        help: "The configuration that is served, by its number and digest.",
        type: "gauge",
        samples: [{ labels: { revision: id }, value: 1 }],
      },
      {
        name: "apiforge_config_activated_timestamp_seconds",
        help: "When it was activated.",
        type: "gauge",
        samples: [{ labels: {}, value: activatedAt / 1_000 }],
      },
      {
        name: "apiforge_config_changes_total",
        help: "Changes of the configuration since the start, by what became of them.",
        type: "counter",
        samples: Object.entries(this.#counts).map(([outcome, value]) => ({
          labels: { outcome },
          value,
        })),
      },
    ];
  }
}

/** A server for a configuration that was checked. */
export async function serveGateway(
  compiled: CompiledGateway,
  settings: Config,
  options: GatewayOptions = {},
  digest: string = digestOfConfig(compiled.config),
): Promise<Gateway> {
  const number = (await sharedNumber(digest)) ?? 1;
  const first = { compiled, revision: revisionOf(number, digest, systemClock.now()) };
  const changing = new ChangingGateway(first);
  const forge = await changing.open(options);
  const compile = (config: unknown): Compiled =>
    compileGateway(config, settings, makersBeside(changing));
  return {
    ...forge,
    get revision() {
      return changing.current.revision;
    },
    change: (config, changed = digestOfConfig(config)) =>
      changing.change(() => compile(config), changed),
    refuse: (problems) => changing.refuse(problems),
    rollback: () => changing.rollback(),
  };
}

/** The number that all processes of one supervisor have for this configuration; undefined for a process of none. */
async function sharedNumber(digest: string): Promise<number | undefined> {
  return workerLink()?.revisionNumber(digest);
}

/** What is served, or was before, is used on where the same is wanted: it goes on with what it knows. */
function makersBeside(changing: ChangingGateway): Makers {
  const known = [changing.current, changing.previous].flatMap((served) => served?.compiled ?? []);
  return {
    upstream(name, wanted, make) {
      const same = known.find(({ config }) => isDeepStrictEqual(config.upstreams[name], wanted));
      return same?.upstreams.get(name) ?? make();
    },
    cache(wanted, make) {
      const all = known.flatMap(({ caches }) => caches);
      return all.find(({ plan }) => isDeepStrictEqual(plan, wanted))?.cache ?? make();
    },
  };
}

/** Functions count by their text. */
function digestOfConfig(config: unknown): string {
  const text = stringify(config, (_key, value: unknown) =>
    typeof value === "function" ? String(value) : value,
  );
  return digestOf([text ?? ""]);
}
