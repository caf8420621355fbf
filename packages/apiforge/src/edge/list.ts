import { configure } from "safe-stable-stringify";
import { z } from "zod";

import type { CursorCodec, Position } from "./cursor.ts";

/** One page of a list, as it goes to the caller. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly hasMore: boolean;
  /** Undefined never: null when there is no further page. */
  readonly nextCursor: string | null;
}

/** Pages of the list that a request asks for. */
export interface List {
  /**
   * Where the page before ended, from `?cursor=`; undefined on the first page. `P` is what
   * `positionOf` gave then: cursors are signed, so nobody else can have made one.
   * @throws {invalid_cursor} for a cursor of another tenant, route, filter or sort.
   */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- only the caller knows what he put in.
  position<P extends Position>(): P | undefined;
  /**
   * Makes a page of `rows`, which were fetched with a limit of `limit + 1`. `positionOf` gives the
   * sort columns of a row; together they are unique.
   */
  page<T>(rows: readonly T[], limit: number, positionOf: (row: T) => Position): Page<T>;
}

const defaultLimit = 20;
const maxLimit = 100;
const page = {
  limit: z.coerce.number<number>().int().min(1).max(maxLimit).default(defaultLimit),
  cursor: z.string().optional(),
};

/**
 * The query of a list: `limit` 1-100 (default 20), `cursor`, and the filters and sort of `shape`:
 * `listQuery({ status: z.string().optional() })`, or `listQuery({})`.
 */
export function listQuery<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.object({ ...page, ...shape });
}

/** The reply schema of a list of `item`. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    data: z.array(item),
    hasMore: z.boolean(),
    nextCursor: z.string().nullable(),
  });
}

const canonicalJson = configure({ deterministic: true });

/** Binds cursors to what makes one list: all of the query but the page itself. */
export function createList(
  cursors: CursorCodec,
  tenant: string,
  path: string,
  params: unknown,
  query: unknown,
): List {
  const { cursor, limit: _, ...filter }: Record<string, unknown> = { ...(query as object) };
  const binding = canonicalJson([tenant, path, params, filter]) ?? "";
  return {
    // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- see List.position.
    position<P extends Position>() {
      return typeof cursor === "string" ? cursors.decode<P>(cursor, binding) : undefined;
    },
    page(rows, limit, positionOf) {
      const data = rows.slice(0, limit);
      const last = data.at(-1);
      const hasMore = rows.length > data.length && last !== undefined;
      return {
        data,
        hasMore,
        nextCursor: hasMore ? cursors.encode(positionOf(last), binding) : null,
      };
    },
  };
}
