/** One setting of a connector, read from the environment variable of that name. */
export interface ConnectorSetting {
  readonly name: string;
  /** What it is and where to get it. */
  readonly description: string;
  /** True when it must never be printed. */
  readonly secret: boolean;
}

/** What a connector package says about itself; each exports one. */
export interface ConnectorInfo {
  /** Stable and lower case, such as `slack`; the sandbox has its stand-in under the same name. */
  readonly name: string;
  /** The provider's name as people write it; it begins error messages. */
  readonly title: string;
  /** The provider's official npm package, which the application installs. */
  readonly sdk: string;
  readonly settings: readonly ConnectorSetting[];
  /**
   * True when the provider drops a call that repeats an idempotency key. False: a call whose outcome
   * stayed unknown (timeout, broken connection, 5xx) may act twice when it is repeated.
   */
  readonly deduplicates: boolean;
}
