import { createContext, createElement, useContext, type ReactNode } from "react";

import type { UrlClient } from "../client.ts";

const ClientContext = createContext<UrlClient | undefined>(undefined);

/** Props of {@link ClientProvider}. */
export interface ClientProviderProps {
  /** Make it once, outside of components: another client starts every watch anew. */
  readonly client: UrlClient;
  readonly children?: ReactNode;
}

/** Gives the hooks below it their client. */
export function ClientProvider({ client, children }: ClientProviderProps): ReactNode {
  return createElement(ClientContext, { value: client }, children);
}

/** @throws Error outside of a {@link ClientProvider}. */
export function useClient(): UrlClient {
  const client = useContext(ClientContext);
  if (client === undefined) throw new Error("Put a <ClientProvider client={…}> around this");
  return client;
}
