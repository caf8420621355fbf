import { useState, type ReactNode } from "react";

/** What the user asks for. */
export interface Wish {
  readonly count: number;
  readonly body: string;
}

const maxCount = 1_000_000;
const maxLength = 1_600;

/** The number of sample recipients and the text that each is sent. */
export function MessageForm({
  isPending,
  onSubmit,
}: {
  readonly isPending: boolean;
  readonly onSubmit: (wish: Wish) => void;
}): ReactNode {
  const [count, setCount] = useState(5_000);
  const [body, setBody] = useState("Your table is ready. Reply STOP to opt out.");
  return (
    <form
      className="card"
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit({ count, body });
      }}
    >
      <label htmlFor="count">Recipients</label>
      <input
        id="count"
        type="number"
        required
        min={1}
        max={maxCount}
        value={Number.isNaN(count) ? "" : count}
        onChange={(event) => setCount(event.target.valueAsNumber)}
        aria-describedby="count-hint"
      />
      <p className="hint" id="count-hint">
        Sample numbers from +1 555 000 0000 on, one message each.
      </p>
      <label htmlFor="body">Message</label>
      <textarea
        id="body"
        rows={3}
        required
        maxLength={maxLength}
        value={body}
        onChange={(event) => setBody(event.target.value)}
      />
      <div className="actions">
        <button className="primary" aria-disabled={isPending}>
          {isPending ? "Sending…" : "Send messages"}
        </button>
      </div>
    </form>
  );
}
