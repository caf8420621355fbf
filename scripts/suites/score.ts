/** What a public suite says of us. */
export interface SuiteScore {
  readonly suite: string;
  readonly total: number;
  /** One line for each test that failed. */
  readonly failures: readonly string[];
}
