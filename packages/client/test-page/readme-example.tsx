import { createClient } from "@apiforge/client";
import { ClientProvider, useClient, useJob, useSubmit } from "@apiforge/client/react";

const client = createClient({ token: () => sessionStorage.getItem("token") ?? "" });

export function Report() {
  const client = useClient();
  const { submit, isPending, result } = useSubmit(async (rows: readonly string[], options) => {
    const answer = await client.request("POST", "/reports", { body: { rows }, ...options });
    return answer.body as { statusUrl: string };
  });
  const { progress, isEnded, cancel } = useJob(result?.statusUrl);
  if (result === undefined) {
    return <button onClick={() => void submit(["a", "b"])}>{isPending ? "…" : "Make"}</button>;
  }
  if (isEnded) return <p>Done</p>;
  return <progress value={progress} onDoubleClick={() => void cancel()} />;
}

export const app = (
  <ClientProvider client={client}>
    <Report />
  </ClientProvider>
);
