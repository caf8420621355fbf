const maxDeliveries = 500;

/** A request that arrived at an inbox, whatever was answered. */
export interface Delivery {
  readonly id: number;
  /** ISO 8601. */
  readonly receivedAt: string;
  readonly idempotencyKey: string | null;
  /** The object that was posted, or the text of the body when it was none. */
  readonly body: unknown;
  /** Status that was answered; null until then, and for ever when the connection ended before. */
  readonly status: number | null;
  /** The fault that the request met, `none` for none. */
  readonly fault: string;
  readonly accepted: boolean;
  /** True when its idempotency key was accepted before: nothing happens a second time. */
  readonly repeated: boolean;
}

/** The latest deliveries, in the order of arrival; the oldest go when there are too many. */
export interface DeliveryLog {
  /** Keeps a delivery; the returned function sets its status. */
  add(delivery: Omit<Delivery, "id" | "status" | "repeated">): (status: number) => void;
  list(): readonly Delivery[];
  clear(): void;
}

/** An empty log of at most 500 deliveries. */
export function createDeliveryLog(): DeliveryLog {
  let deliveries: Delivery[] = [];
  let lastId = 0;
  return {
    add(delivery) {
      const { idempotencyKey: key } = delivery;
      const repeated = deliveries.some(
        (one) => key !== null && one.accepted && one.idempotencyKey === key,
      );
      const entry: Delivery = { id: ++lastId, ...delivery, repeated, status: null };
      deliveries.push(entry);
      if (deliveries.length > maxDeliveries) deliveries.shift();
      return (status) => {
        Object.assign(entry, { status });
      };
    },
    list: () => deliveries,
    clear() {
      deliveries = [];
    },
  };
}
