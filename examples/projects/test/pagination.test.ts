import { storeNames } from "@apiforge/testing";
import { beforeAll, describe, expect, test } from "vitest";

import { projectsStage, type ProjectView } from "./stage.ts";

const projects = 250;
const atOnce = 25;

interface PageView {
  readonly data: readonly ProjectView[];
  readonly hasMore: boolean;
  readonly nextCursor: string | null;
}

describe.for(storeNames)("pages, %s", (store) => {
  const stage = projectsStage(store);
  const created: ProjectView[] = [];

  beforeAll(async () => {
    for (let index = 0; index < projects; index += atOnce) {
      const group = Array.from({ length: atOnce }, (_, offset) =>
        stage.create({
          name: `Project ${index + offset}`,
          status: offset % 5 === 0 ? "archived" : "active",
        }),
      );
      created.push(...(await Promise.all(group)));
    }
  });

  async function page(query: string): Promise<PageView> {
    const response = await stage.send({ path: `/api/projects?${query}` });
    expect(response.status, response.body).toBe(200);
    return response.json() as PageView;
  }

  /** Every page of a list, with what happens between two pages. */
  async function pages(query: string, between?: () => Promise<unknown>): Promise<PageView[]> {
    const all = [await page(query)];
    for (let cursor = all[0]?.nextCursor ?? null; cursor !== null;) {
      await between?.();
      const next = await page(`${query}&cursor=${encodeURIComponent(cursor)}`);
      all.push(next);
      cursor = next.nextCursor;
    }
    return all;
  }

  function newestFirst(expected: readonly ProjectView[]): ProjectView[] {
    return [...expected].sort((a, b) => (a.id < b.id ? 1 : -1));
  }

  test.for([1, 7, 50, 100])("limit=%i shows every project once, newest first", async (limit) => {
    const all = await pages(`limit=${limit}`);
    expect(all.flatMap(({ data }) => data)).toEqual(newestFirst(created));
    for (const { data, hasMore, nextCursor } of all.slice(0, -1)) {
      expect(data).toHaveLength(limit);
      expect(hasMore).toBe(true);
      expect(nextCursor).not.toBeNull();
    }
    expect(all).toHaveLength(Math.ceil(projects / limit));
    expect(all.at(-1)).toMatchObject({ hasMore: false, nextCursor: null });
  });

  test("20 a page when it is not said", async () => {
    const { data, hasMore } = await page("");
    expect(data).toEqual(newestFirst(created).slice(0, 20));
    expect(hasMore).toBe(true);
  });

  test("a filter holds over all pages", async () => {
    const all = await pages("status=archived&limit=20");
    const archived = created.filter(({ status }) => status === "archived");
    expect(all.flatMap(({ data }) => data)).toEqual(newestFirst(archived));
    expect(await page("status=unheard-of")).toEqual({ data: [], hasMore: false, nextCursor: null });
  });

  test("what is created while paging neither shows nor moves anything", async () => {
    const all = await pages("limit=60", () => stage.create({ name: "Meanwhile" }));
    expect(all.flatMap(({ data }) => data)).toEqual(newestFirst(created));
  });
});
