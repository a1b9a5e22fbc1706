/** Too much is waiting for the queue already, or the queue is full. Nothing was enqueued. */
export class OverloadedError extends Error {
  override readonly name = "OverloadedError";
}

/** The host's clock has jumped, and it is unknown what time it is. Nothing was enqueued. */
export class ClockUncertainError extends Error {
  override readonly name = "ClockUncertainError";

  constructor() {
    super("the host's clock has jumped, and is neither back nor confirmed, or was never set");
  }
}

/** Its sender has sent too many. Nothing was enqueued. */
export class RateLimitedError extends Error {
  override readonly name = "RateLimitedError";
  /** After so long the same list passes, if nothing else is sent. */
  readonly waitMs: number;

  constructor(waitMs: number) {
    super(`too many impressions; wait ${waitMs} ms`);
    this.waitMs = waitMs;
  }
}

/** One submission is larger than a queue message may be (SUBMISSION_BYTES_MAX). */
export class SubmissionTooLargeError extends Error {
  override readonly name = "SubmissionTooLargeError";
}
