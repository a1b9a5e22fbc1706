/** Too much is waiting for the queue already, or the queue is full. Nothing was enqueued. */
export class OverloadedError extends Error {
  override readonly name = "OverloadedError";
}

/** One submission is larger than a queue message may be (SUBMISSION_BYTES_MAX). */
export class SubmissionTooLargeError extends Error {
  override readonly name = "SubmissionTooLargeError";
}
