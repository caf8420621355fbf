import {
  findPostgresBinaries,
  npmPostgres,
  startPostgres,
  type PostgresBinaries,
  type PostgresServer,
} from "@apiforge/testing";

/** Settings of every PostgreSQL that is measured, so that none is held back by its defaults. */
export const postgresSettings = { shared_buffers: "512MB", max_wal_size: "4GB" } as const;

/** Starts an empty PostgreSQL whose commits reach the disk: of npm, the current version, else of the machine. */
export function startBenchPostgres(): Promise<PostgresServer> {
  return startPostgres({ fsync: true, binaries: benchBinaries(), settings: postgresSettings });
}

/** The PostgreSQL that {@link startBenchPostgres} starts. */
export function benchBinaries(): PostgresBinaries {
  return npmPostgres() ?? findPostgresBinaries();
}
