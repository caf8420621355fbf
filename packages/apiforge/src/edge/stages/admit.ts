import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { limitFields } from "../limits/fields.ts";
import { lateLimits, type LimitBook, type LimitsOfRoute } from "../limits/limit-book.ts";
import { takeBack, type Admission, type Ruling } from "../limits/limiter.ts";
import { routeText, subjectOf } from "../limits/subject.ts";
import type { Outgoing } from "../outgoing.ts";
import type { Stage } from "../stage.ts";

const unauthorizedStatus = 401;

/** The stage that asks the limits which need nothing of the caller but its address, before its token is looked at. */
export function admitEarly(book: LimitBook): Stage {
  return function admitEarlyOn(route) {
    if (route === undefined) return undefined;
    const limits = book.ofRoute(route);
    const failed = route.auth === "none" ? undefined : book.failedAuthentications;
    if (limits.early.length === 0 && failed === undefined) return undefined;
    const asked = failed === undefined ? limits.early : [failed, ...limits.early];
    const enter = (exchange: Exchange): Promise<void> | undefined => {
      const wait = book.prepare(asked, exchange);
      if (wait !== undefined) return wait.then(() => enter(exchange));
      if (failed !== undefined) refuseFailed(book, exchange);
      return rule(book, exchange, book.admit(limits.early, exchange));
    };
    return {
      enter,
      leave: (exchange, answer) => {
        if (failed !== undefined) countFailed(book, exchange, answer);
        if (!hasLate(limits)) tell(book, exchange);
      },
    };
  };
}

/** The stage that asks the limits of the caller who is known now, and tells all of them on every answer. */
export function admitLate(book: LimitBook): Stage {
  return function admitLateOn(route) {
    if (route === undefined) return undefined;
    const limits = book.ofRoute(route);
    if (!hasLate(limits)) return undefined;
    const enter = (exchange: Exchange): Promise<void> | undefined => {
      const asked = lateLimits(limits, exchange.principal?.plan);
      const wait = book.prepare(asked, exchange);
      if (wait !== undefined) return wait.then(() => enter(exchange));
      return rule(book, exchange, book.admit(asked, exchange));
    };
    return {
      enter,
      leave: (exchange) => tell(book, exchange),
    };
  };
}

function hasLate({ late, latePerPlan }: LimitsOfRoute): boolean {
  return late.length > 0 || latePerPlan.size > 0;
}

/** Refuses, or answers what the request waits for before it may go on. */
function rule(book: LimitBook, exchange: Exchange, admission: Admission | undefined) {
  if (admission === undefined) return undefined;
  const earlier = exchange.admission;
  const { refusedBy } = admission;
  // A refused request has spent nothing of any limit.
  if (refusedBy !== undefined && earlier !== undefined) takeBack(earlier);
  exchange.admission =
    earlier === undefined
      ? admission
      : { rulings: [...earlier.rulings, ...admission.rulings], refusedBy };
  if (refusedBy !== undefined) refuse(book, exchange, refusedBy);
  return book.settle(admission);
}

function refuse(book: LimitBook, exchange: Exchange, ruling: Ruling): never {
  const { policy, subject, resetInMs } = ruling;
  const { id: requestId, route } = exchange;
  const at = book.clock.now();
  const where = route === undefined ? "" : routeText(route);
  book.refusals.note(policy.name, subject, { at, route: where, requestId });
  throw edgeError(
    "rate_limited",
    `Limit "${policy.name}" of ${policy.limit} per ${policy.per} is reached`,
    { retryAfterSeconds: Math.max(1, Math.ceil(resetInMs / 1_000)) },
  );
}

function tell(book: LimitBook, exchange: Exchange): void {
  const { admission } = exchange;
  if (admission === undefined) return;
  const fields = limitFields(admission, book.clock.now());
  for (let index = 0; index < fields.length; index += 2) {
    exchange.putHeader(fields[index] ?? "", fields[index + 1] ?? "");
  }
}

function refuseFailed(book: LimitBook, exchange: Exchange): void {
  const failed = book.failedAuthentications;
  if (failed === undefined) return;
  const { policy, counter } = failed;
  const subject = subjectOf("address", exchange) ?? "";
  const standing = counter.look(subject, book.elapsed());
  if (standing.remaining > 0) return;
  const ruling = { policy, counter, subject, ...standing, receipt: undefined };
  exchange.admission = { rulings: [ruling], refusedBy: ruling };
  refuse(book, exchange, ruling);
}

function countFailed(book: LimitBook, exchange: Exchange, { answer }: Outgoing): void {
  const failed = book.failedAuthentications;
  if (failed === undefined || answer.status !== unauthorizedStatus) return;
  book.countFailed(failed, subjectOf("address", exchange) ?? "");
}
