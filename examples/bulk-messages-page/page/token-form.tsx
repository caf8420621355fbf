import { useState, type ReactNode } from "react";

const command = "npm run -s token -- --sub usr_demo";

/** Asks who is there: the page keeps the token in its memory only. */
export function TokenForm({ onToken }: { readonly onToken: (token: string) => void }): ReactNode {
  const [token, setToken] = useState("");
  return (
    <form
      className="card"
      onSubmit={(event) => {
        event.preventDefault();
        onToken(token.trim());
      }}
    >
      <label htmlFor="token">Access token</label>
      <input
        id="token"
        type="password"
        autoComplete="off"
        spellCheck={false}
        required
        value={token}
        onChange={(event) => setToken(event.target.value)}
        aria-describedby="token-hint"
      />
      <p className="hint" id="token-hint">
        Make one in a terminal and paste it here; it is forgotten when the page closes.
        <code>{command}</code>
      </p>
      <div className="actions">
        <button className="primary">Continue</button>
      </div>
    </form>
  );
}
