/**
 * What an engine may throw through a port. Everything else that comes out of an adapter is a bug. Messages are for
 * logs; they never reach a client.
 */

/** The queue has reached its byte limit; nothing was stored. Try again later. */
export class QueueFullError extends Error {
  override readonly name = "QueueFullError";
}

/** The queue did not confirm in time, or cannot be reached. What was sent may be stored: a resend is harmless. */
export class QueueUnavailableError extends Error {
  override readonly name = "QueueUnavailableError";
}

/** The dead letters have reached their byte limit; nothing was stored. */
export class DeadLettersFullError extends Error {
  override readonly name = "DeadLettersFullError";
}

/** The store timed out, is overloaded, cannot be reached or is not set up. Transient: the same call may succeed later. */
export class StoreUnavailableError extends Error {
  override readonly name = "StoreUnavailableError";
}

/** The store refuses this row for what it is, now and always. */
export class StoreRefusedError extends Error {
  override readonly name = "StoreRefusedError";
}

/** A question would have to read more of one user's history than any question may: it wants a later `since`. */
export class HistoryTooLongError extends Error {
  override readonly name = "HistoryTooLongError";

  constructor(rowsMax: number) {
    super(`a user of this question has more than ${rowsMax} submissions since then`);
  }
}

/** The engine cannot be opened as configured. The message is one line that says what to do. */
export class EngineStartError extends Error {
  override readonly name = "EngineStartError";
}

/** Another process has the embedded engine's directory. */
export class EngineInUseError extends EngineStartError {}
