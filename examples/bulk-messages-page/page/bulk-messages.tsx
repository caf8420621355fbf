import { ApiError, type UrlClient } from "@apiforge/client";
import { useClient, useSubmit, type SubmitOptions } from "@apiforge/client/react";
import { useCallback, type ReactNode } from "react";

import { JobCard } from "./job-card.tsx";
import { MessageForm, type Wish } from "./message-form.tsx";
import { sampleMessages } from "./messages.ts";

/** Submits a job, then shows it. */
export function BulkMessages({ onSignOut }: { readonly onSignOut: () => void }): ReactNode {
  const client = useClient();
  const send = useCallback(
    (wish: Wish, options: SubmitOptions) => submitMessages(client, wish, options),
    [client],
  );
  const { submit, reset, isPending, result, error } = useSubmit(send);
  if (result !== undefined) return <JobCard statusUrl={result} onDone={reset} />;
  return (
    <>
      {error !== undefined && <Failure error={error} onSignOut={onSignOut} />}
      <MessageForm isPending={isPending} onSubmit={(wish) => void submit(wish)} />
    </>
  );
}

/** Where the accepted job tells how it stands. */
async function submitMessages(
  client: UrlClient,
  { count, body }: Wish,
  options: SubmitOptions,
): Promise<string> {
  const messages = sampleMessages(count, body);
  const answer = await client.request("POST", "/bulk-messages", { body: { messages }, ...options });
  return (answer.body as { statusUrl: string }).statusUrl;
}

function Failure({
  error,
  onSignOut,
}: {
  readonly error: unknown;
  readonly onSignOut: () => void;
}): ReactNode {
  const isKnown = error instanceof ApiError;
  return (
    <div className="card failure" role="alert">
      <p>
        <strong>The messages were not accepted.</strong>{" "}
        {isKnown ? error.message : "Something went wrong on this page."}
      </p>
      {isKnown && error.requestId !== undefined && (
        <p className="hint">Request {error.requestId}</p>
      )}
      {isKnown && error.status === 401 && (
        <div className="actions">
          <button type="button" onClick={onSignOut}>
            Use another token
          </button>
        </div>
      )}
    </div>
  );
}
