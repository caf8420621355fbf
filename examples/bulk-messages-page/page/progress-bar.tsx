import type { ReactNode } from "react";

/** What is done of a total, with the failed part in its own colour at the end. */
export function ProgressBar({
  total,
  processed,
  failed,
}: {
  readonly total: number;
  readonly processed: number;
  readonly failed: number;
}): ReactNode {
  const percentOf = (count: number) => `${total === 0 ? 0 : (count / total) * 100}%`;
  return (
    <div
      className="bar"
      role="progressbar"
      aria-label="Messages processed"
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={processed}
    >
      <span className="bar-sent" style={{ width: percentOf(Math.max(0, processed - failed)) }} />
      {failed > 0 && (
        <span className="bar-failed" style={{ width: percentOf(Math.min(failed, processed)) }} />
      )}
    </div>
  );
}
