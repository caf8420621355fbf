import { StrictMode, useState, type ReactNode } from "react";
import { createRoot } from "react-dom/client";

import { createClient, type ApiError } from "../src/index.ts";
import { ClientProvider, useJob, useSubmit, type SubmitOptions } from "../src/react/index.ts";

// A page that shows what the hooks say and does what their users do.

const client = createClient();

interface Accepted {
  readonly statusUrl: string;
}

async function send(messages: readonly number[], options: SubmitOptions): Promise<Accepted> {
  const answer = await client.request("POST", "/bulk-messages", { body: { messages }, ...options });
  return answer.body as Accepted;
}

function Job({ statusUrl }: { readonly statusUrl: string | undefined }): ReactNode {
  const { job, progress, isEnded, isRefused, error, cancel } = useJob(statusUrl);
  return (
    <>
      <output id="job">{`${job?.status ?? "none"} ${progress ?? "unknown"}`}</output>
      <output id="watch">
        {[isEnded && "ended", isRefused && "refused", error?.code].filter(Boolean).join(" ")}
      </output>
      <button onClick={() => void cancel()}>Cancel</button>
    </>
  );
}

function Page(): ReactNode {
  const [isMounted, setIsMounted] = useState(true);
  const [other, setOther] = useState<string>();
  const { submit, reset, isPending, result, error } = useSubmit(send);
  return (
    <>
      <button onClick={() => void submit([1, 2, 3, 4])}>Send</button>
      <button onClick={() => void submit([5])}>Send another</button>
      <button onClick={reset}>Reset</button>
      <button onClick={() => setIsMounted(false)}>Unmount</button>
      <button onClick={() => setOther("/bulk-messages/9/status")}>Watch a stranger</button>
      <output id="submission">
        {[isPending && "pending", result?.statusUrl, (error as ApiError | undefined)?.code]
          .filter(Boolean)
          .join(" ")}
      </output>
      {isMounted && <Job statusUrl={other ?? result?.statusUrl} />}
    </>
  );
}

const root = document.createElement("main");
document.body.append(root);
createRoot(root).render(
  <StrictMode>
    <ClientProvider client={client}>
      <Page />
    </ClientProvider>
  </StrictMode>,
);
