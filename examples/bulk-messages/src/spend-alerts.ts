import { defineConsumer } from "apiforge";

import { spendAlert } from "./events.ts";
import { formatDollars } from "./prices.ts";

/** Writes a line for every spending alert, so that it is seen where nobody reads the events. */
export function spendAlertConsumer(warn: (text: string) => void) {
  return defineConsumer("message-spend-alerts", {
    events: [spendAlert.name],
    handle: async ({ event }) => {
      const alert = spendAlert.schema.parse(JSON.parse(event.data));
      const { tenant, month, percent, committedMicros, capMicros } = alert;
      const spent = `${formatDollars(committedMicros)} of ${formatDollars(capMicros)}`;
      warn(`Text messages of ${tenant} in ${month} have reached ${percent} % of the cap: ${spent}`);
    },
  });
}
