import { sql, type Reader } from "apiforge";

/** A station as callers see it. */
export interface Station {
  readonly id: string;
  readonly name: string;
  readonly line: string;
  readonly latitude: number;
  readonly longitude: number;
}

/** What a page of stations is chosen by. */
export interface StationPage {
  readonly line: string | undefined;
  /** Id of the last station of the page before. */
  readonly after: string | undefined;
  readonly limit: number;
}

export function listStations(reader: Reader, page: StationPage): Promise<readonly Station[]> {
  const line = page.line === undefined ? sql`` : sql`and line = ${page.line}`;
  return reader.sql<Station>`
    select id, name, line, latitude, longitude from stations
    where id > ${page.after ?? ""} ${line} order by id limit ${page.limit}`;
}

export async function findStation(reader: Reader, id: string): Promise<Station | undefined> {
  const [station] = await reader.sql<Station>`
    select id, name, line, latitude, longitude from stations where id = ${id}`;
  return station;
}
