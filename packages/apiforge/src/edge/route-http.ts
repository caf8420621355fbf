import {
  compileDeprecation,
  type Deprecation,
  type DeprecationOptions,
} from "./versions/deprecation.ts";

/** What a route declares about HTTP itself, whatever it does. */
export interface HttpOptions {
  /** The route is on its way out; default it is not. */
  readonly deprecated?: DeprecationOptions;
}

/** {@link HttpOptions} as the stages work with them. */
export interface HttpFacts {
  readonly deprecated: Deprecation | undefined;
}

/** @throws {TypeError} see {@link compileDeprecation}; `name` is that of the route. */
export function httpFacts(name: string, { deprecated }: HttpOptions): HttpFacts {
  try {
    return { deprecated: deprecated === undefined ? undefined : compileDeprecation(deprecated) };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new TypeError(`${name}: ${error.message}`, { cause: error });
  }
}
