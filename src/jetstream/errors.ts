import { ErrorCode, NatsError } from "nats";
import { QueueFullError, QueueUnavailableError } from "../ports/errors.ts";

/** JetStream's own error codes, as the server's errors.json numbers them. */
export const API_ERROR = {
  accountResourcesExceeded: 10002,
  noSuitablePeers: 10005,
  clusterNotAvailable: 10008,
  clusterNotLeader: 10009,
  consumerNotFound: 10014,
  insufficientResources: 10023,
  noMessageFound: 10037,
  notEnabledForAccount: 10039,
  storageResourcesExceeded: 10047,
  invalidStreamConfig: 10052,
  streamNameInUse: 10058,
  streamNotFound: 10059,
  subjectsOverlap: 10065,
  wrongLastSequence: 10071,
  replicasNotSupported: 10074,
  notEnabled: 10076,
  storeFailed: 10077,
  consumerNotAlone: 10099,
  filteredConsumerNotAlone: 10100,
  streamMaxBytesOverAccountLimit: 10122,
  duplicateInProcess: 10158,
} as const;

/** The server cannot answer now and will later: an election runs, or it is still starting. */
const TRANSIENT_API_ERRORS: ReadonlySet<number> = new Set([
  API_ERROR.clusterNotAvailable,
  API_ERROR.clusterNotLeader,
]);

/** There is no room for the message, whatever sets the limit. */
const NO_ROOM_API_ERRORS: ReadonlySet<number> = new Set([
  API_ERROR.accountResourcesExceeded,
  API_ERROR.insufficientResources,
  API_ERROR.storageResourcesExceeded,
]);

/** The number that JetStream gave its refusal; null where the error is no answer of JetStream's. */
export function apiCodeOf(error: unknown): number | null {
  return error instanceof NatsError ? (error.api_error?.err_code ?? null) : null;
}

/** Whether the request had no responders: no such stream or consumer, no leader, no JetStream. */
export function isNoResponders(error: unknown): boolean {
  return error instanceof NatsError && error.code === ErrorCode.NoResponders && apiCodeOf(error) === null;
}

/** Whether JetStream refused because a byte limit is reached: nothing was stored. */
export function isNoRoom(error: unknown): boolean {
  const code = apiCodeOf(error);
  // One code for every failure to store: a full stream says "maximum bytes exceeded", a broken disk something else.
  if (code === API_ERROR.storeFailed) return /maximum (bytes|messages)/i.test(messageOf(error));
  return code !== null && NO_ROOM_API_ERRORS.has(code);
}

/**
 * What came out of a request, in the port's words: an answer of JetStream's stays as it is, for the caller to
 * interpret; everything else means that there was no answer.
 */
export function requestError(error: unknown): Error {
  if (error instanceof QueueUnavailableError) return error;
  const code = apiCodeOf(error);
  if (code !== null && !TRANSIENT_API_ERRORS.has(code)) return error as NatsError;
  return new QueueUnavailableError(`NATS: ${noAnswer(error)}`, { cause: error });
}

/** What failed, as the port says it: full, or else unavailable. */
export function queueError(error: unknown): Error {
  if (error instanceof QueueUnavailableError) return error;
  if (isNoRoom(error)) return new QueueFullError(`JetStream: ${messageOf(error)}`, { cause: error });
  return new QueueUnavailableError(`JetStream: ${messageOf(error)}`, { cause: error });
}

function noAnswer(error: unknown): string {
  if (isNoResponders(error)) return "no answer: no such stream, or no leader";
  if (error instanceof NatsError && error.code === ErrorCode.Timeout) return "no answer in time";
  return messageOf(error);
}

/** What an error says. The client's message for an answer of JetStream's is often a bare number. */
export function messageOf(error: unknown): string {
  if (error instanceof NatsError && error.api_error !== undefined) return error.api_error.description;
  return error instanceof Error ? error.message || error.name : String(error);
}
