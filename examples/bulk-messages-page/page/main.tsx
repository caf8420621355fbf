import { createClient } from "@apiforge/client";
import { ClientProvider } from "@apiforge/client/react";
import { StrictMode, useMemo, useState, type ReactNode } from "react";
import { createRoot } from "react-dom/client";

import { BulkMessages } from "./bulk-messages.tsx";
import { TokenForm } from "./token-form.tsx";

function Page(): ReactNode {
  const [token, setToken] = useState<string>();
  const client = useMemo(
    () => (token === undefined ? undefined : createClient({ token })),
    [token],
  );
  return (
    <>
      <header>
        <h1>Bulk messages</h1>
        <p>Submit up to a million messages in one request and watch them go out.</p>
      </header>
      {client === undefined ? (
        <TokenForm onToken={setToken} />
      ) : (
        <ClientProvider client={client}>
          <BulkMessages onSignOut={() => setToken(undefined)} />
        </ClientProvider>
      )}
    </>
  );
}

const root = document.getElementById("page");
if (root === null) throw new Error("The page has no #page");
createRoot(root).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
