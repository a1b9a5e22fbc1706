/** Too much is waiting for the queue already, or the queue is full. Nothing was enqueued. */
export class OverloadedError extends Error {
  override readonly name = "OverloadedError";
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
