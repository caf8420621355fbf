import {
  findPostgresBinaries,
  npmPostgres,
  startPostgres,
  type PostgresBinaries,
  type PostgresServer,
} from "@apiforge/testing";

/** Starts an empty PostgreSQL whose commits reach the disk: of npm, the current version, else of the machine. */
export function startBenchPostgres(): Promise<PostgresServer> {
  return startPostgres({ fsync: true, binaries: benchBinaries() });
}

/** The PostgreSQL that {@link startBenchPostgres} starts. */
export function benchBinaries(): PostgresBinaries {
  return npmPostgres() ?? findPostgresBinaries();
}
