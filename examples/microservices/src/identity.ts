/** What a service proves itself by, and whom it trusts; all in PEM. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** A service that listens. */
export interface RunningService {
  readonly url: string;
  stop(): Promise<void>;
}
