import type { FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../domain/time.ts";
import type { ErrorCode } from "../errors.ts";
import { newRequestOutcome, type RequestOutcome } from "../resolvers/request-outcome.ts";

/** A GraphQL request that is over. */
export interface ObservedRequest {
  readonly requestId: string;
  /** Its name where that is a documented one, else OTHER_OPERATION. */
  readonly operation: string;
  readonly code: ErrorCode | "OK" | "CLIENT_GONE";
  /** From its headers to the end of the answer. */
  readonly durationMs: number;
  readonly ranOutOfTime: boolean;
}

/** What is cut off before its time: a body or an answer that held too much or for too long, or a connection beyond the limit. */
export type CutOff = "answer" | "body" | "connection";

/** Every operation that is not documented: callers invent as many names as they like. */
export const OTHER_OPERATION = "other";

declare module "fastify" {
  interface FastifyRequest {
    /** What is known of it; null where it is not observed. */
    outcome: RequestOutcome | null;
  }
}

/** Makes the function that begins to observe a request; `onRequest` is called once for each, however it ends. */
export function createRequestObserver(deps: {
  readonly documentedOperations: ReadonlySet<string>;
  readonly clock: Clock;
  readonly onRequest: (request: ObservedRequest) => void;
}): (request: FastifyRequest, reply: FastifyReply) => void {
  const { documentedOperations, onRequest } = deps;
  const { monotonicMs } = deps.clock;
  return (request, reply) => {
    const outcome = newRequestOutcome(request.id);
    request.outcome = outcome;
    const startedMs = monotonicMs();
    // Fires once, whether the answer was sent or the client went away.
    reply.raw.on("close", () => {
      const { operation, code, requestId, ranOutOfTime } = outcome;
      onRequest({
        requestId,
        ranOutOfTime,
        operation: operation !== null && documentedOperations.has(operation) ? operation : OTHER_OPERATION,
        code: code ?? (reply.raw.writableFinished ? "OK" : "CLIENT_GONE"),
        durationMs: monotonicMs() - startedMs,
      });
    });
  };
}
