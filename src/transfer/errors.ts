/**
 * Something about a transfer that the operator has to know and can act on. The message is one line that says what
 * to do; commands print it without a stack.
 */
export class TransferError extends Error {
  override readonly name: string = "TransferError";
}

/** The queue took nothing for `QUEUE_STALL_MS_MAX`, or the workers acked nothing. */
export class TransferStalledError extends TransferError {
  override readonly name = "TransferStalledError";
}

/** With `--strict`: the first line that cannot be imported. */
export class BadLineError extends TransferError {
  override readonly name = "BadLineError";
}
