import type { Erasure } from "../domain/erasure.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";

/** Forgets users everywhere: what is queued, the dead letters, and every stored row. */
export interface Erasures {
  /**
   * Writes the erasure record, durably, and answers; the erasure goes on by itself and survives a restart.
   *
   * @throws StoreUnavailableError nothing was requested.
   */
  request(userId: string): Promise<Erasure>;
}

export function createErasures(deps: {
  readonly store: ImpressionStore;
  readonly newId: () => string;
  /** The clock of receivedAt, so that "received before the request" has one meaning. */
  readonly receivedAt: { nextUs(): number };
  /** Called when an erasure record is written. */
  readonly onRequest: () => void;
}): Erasures {
  return {
    async request(userId) {
      const erasure: Erasure = {
        id: deps.newId(),
        userId,
        requestedAtUs: deps.receivedAt.nextUs(),
        status: "WAITING_FOR_QUEUE",
        rowsDeleted: 0,
        finishedAtMs: null,
      };
      await deps.store.saveErasure(erasure);
      deps.onRequest();
      return erasure;
    },
  };
}
