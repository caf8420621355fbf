import type { Exchange } from "./exchange.ts";
import { HeadLines } from "./head-lines.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Route } from "./route.ts";
import {
  lastEarlyStage,
  stageOrder,
  type Enter,
  type Leave,
  type PlacedStage,
  type Stage,
  type StageName,
} from "./stage.ts";

/** What runs for the requests of one route. */
export interface RouteStages {
  readonly route: Route | undefined;
  /** Before the body is read. */
  readonly early: readonly Enter[];
  /** With the body. */
  readonly late: readonly Enter[];
  /** In the order in which they run. */
  readonly leaves: readonly Leave[];
  readonly lines: HeadLines;
}

/** The stages of a server by place. */
export type StageTable = Readonly<Partial<Record<StageName, readonly Stage[]>>>;

/** `builtIn` with the stages that an application adds, each behind its place. */
export function withPlaced(builtIn: StageTable, added: readonly PlacedStage[]): StageTable {
  const names = new Set<string>();
  const table: Partial<Record<StageName, readonly Stage[]>> = { ...builtIn };
  for (const { name, after, stage } of added) {
    if (names.has(name)) throw new TypeError(`There are two stages named ${name}`);
    names.add(name);
    table[after] = [...(table[after] ?? []), stage];
  }
  return table;
}

/** What the stages do on `route`; undefined stands for requests that no declared route answers. */
export function stagesOf(table: StageTable, route: Route | undefined): RouteStages {
  const early: Enter[] = [];
  const late: Enter[] = [];
  const leaves: Leave[] = [];
  let isEarly = true;
  for (const place of stageOrder) {
    for (const stage of table[place] ?? []) {
      const { enter, leave } = stage(route) ?? {};
      if (enter !== undefined) (isEarly ? early : late).push(enter);
      if (leave !== undefined) leaves.unshift(leave);
    }
    if (place === lastEarlyStage) isEarly = false;
  }
  return { route, early, late, leaves, lines: new HeadLines() };
}

/** Enters one stage after the other until one has answered. Returns nothing where none had to wait. */
export function enterAll(
  steps: readonly Enter[],
  exchange: Exchange,
  from = 0,
): Promise<void> | undefined {
  for (let index = from; index < steps.length; index++) {
    const wait = steps[index]?.(exchange);
    if (wait !== undefined) {
      return wait.then(() =>
        exchange.answer === undefined ? enterAll(steps, exchange, index + 1) : undefined,
      );
    }
    if (exchange.answer !== undefined) return undefined;
  }
  return undefined;
}

/** The answer as it leaves. */
export function leaveAll(leaves: readonly Leave[], exchange: Exchange, answer: Outgoing): Outgoing {
  let leaving = answer;
  for (const leave of leaves) leaving = leave(exchange, leaving) ?? leaving;
  return leaving;
}
