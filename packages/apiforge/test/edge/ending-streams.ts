/** Begins, and breaks off. */
export async function* breaksOff() {
  yield { n: 0, text: "x".repeat(20_000) };
  throw new Error("down");
}

/** Begins, and goes on until its client has gone; counts its ends. */
export async function* waitForEnd(signal: AbortSignal, seen: { ended: number }) {
  yield { event: "begun", data: { n: 1, text: "" } };
  await new Promise((resolve) => {
    signal.addEventListener("abort", resolve);
  });
  seen.ended += 1;
}
