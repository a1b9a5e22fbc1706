/** Causes of causes that are written down. */
const CAUSES_MAX = 4;

/** What a log line holds of an error. Not everything that is attached to it: drivers attach requests, options, whole hosts. */
export function describeError(error: unknown, causesLeft: number = CAUSES_MAX): unknown {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    stack: error.stack,
    ...(error.cause === undefined || causesLeft === 0
      ? {}
      : { cause: describeError(error.cause, causesLeft - 1) }),
  };
}
