import { createInbox, type Msg, nanos } from "nats";
import type { Connection } from "./connection.ts";

/** How many of the messages that were asked for are not delivered by this request. */
const UNDELIVERED = "Nats-Pending-Messages";

/** What ended one request for messages. */
export type PullEnd =
  /** It is served: as many messages as asked for, or all that there were, or its time is over. */
  | "over"
  /** The first message is larger than the bytes asked for. */
  | "too large"
  /** The server cannot serve it now: other requests are in front of it, or another server takes over. */
  | "not now"
  /** There is no such consumer. */
  | "no consumer"
  /** Not a word from the server, past the request's end. */
  | "silence"
  | "aborted"
  | "connection lost";

export interface Arrival {
  readonly message: Msg;
  /** Monotonic. */
  readonly atMs: number;
}

export interface Pulled {
  readonly arrivals: readonly Arrival[];
  readonly end: PullEnd;
}

export interface PullOptions {
  readonly stream: string;
  readonly consumer: string;
  readonly maxMessages: number;
  /** Counts subjects and headers too; undefined for no limit. */
  readonly maxBytes: number | undefined;
  /** 0 takes only what is there. */
  readonly expiresMs: number;
  /** Any of them ends the wait. */
  readonly signals: readonly AbortSignal[];
  /** Called with each message that arrives after the pull has ended. */
  readonly nakUnwanted: (message: Msg) => void;
  /** Called with a promise that resolves when nothing can arrive any more. */
  readonly onLinger: (gone: Promise<void>) => void;
}

/**
 * One request for messages, in the server's own protocol: the client's `fetch` either waits for a full batch or does
 * not wait at all. A request that says both `no_wait` and `expires` is answered with everything that is there, and
 * where there is nothing with the first thing that comes, within a millisecond of its arrival; then the server says
 * that it is over. Heartbeats are not needed: requests are short, and one whose end is not reported is silence.
 */
export function pullOnce(connection: Connection, options: PullOptions): Promise<Pulled> {
  const { nats, jetstream } = connection;
  const { promise, resolve } = Promise.withResolvers<Pulled>();
  const arrivals: Arrival[] = [];
  const over = Promise.withResolvers<void>();
  let resolved = false;
  let received = 0;
  let expected = options.maxMessages;
  let end: PullEnd = "over";

  const inbox = createInbox();
  const subscription = nats.subscribe(inbox, {
    callback(error, message) {
      if (error !== null) finish("not now");
      else if (message.subject === inbox) readEnd(message);
      else {
        received++;
        if (resolved) options.nakUnwanted(message);
        else arrivals.push({ message, atMs: connection.clock.monotonicMs() });
        if (received >= expected) finish(end);
      }
    },
  });
  const timer = setTimeout(() => finish("silence"), options.expiresMs + connection.requestTimeoutMs);
  const stopListening = connection.onLoss(() => finish("connection lost"));
  for (const signal of options.signals) signal.addEventListener("abort", abort);

  /**
   * On a replicated stream the word that ends a request overtakes its messages: each of those waits for a majority. The
   * word says how many are on their way, and only with the last of them the request is over.
   */
  function readEnd(status: Msg): void {
    const read = readStatus(status);
    if (read === null) return;
    end = read;
    const undelivered = status.headers?.get(UNDELIVERED) ?? "";
    expected = undelivered === "" ? received : options.maxMessages - Number(undelivered);
    if (received >= expected) finish(end);
  }

  /** The server has nothing more to say about this request. */
  function finish(how: PullEnd): void {
    answer(how);
    clearTimeout(timer);
    stopListening();
    if (!subscription.isClosed()) subscription.unsubscribe();
    over.resolve();
  }

  function answer(how: PullEnd): void {
    if (resolved) return;
    resolved = true;
    for (const signal of options.signals) signal.removeEventListener("abort", abort);
    resolve({ arrivals, end: how });
  }

  /**
   * Resolves at once, and naks what has come and what still comes, until the server says that the request is
   * over. Taking the subscription away instead loses what is on its way to it, and that then waits for its ackWait: on
   * a cluster, where another server delivers, one message for every fifteen aborts under traffic.
   */
  function abort(): void {
    for (const { message } of arrivals.splice(0)) options.nakUnwanted(message);
    answer("aborted");
    options.onLinger(over.promise);
  }

  const subject = `${jetstream.apiPrefix}.CONSUMER.MSG.NEXT.${options.stream}.${options.consumer}`;
  nats.publish(subject, requestOf(options), { reply: inbox });
  return promise;
}

function requestOf({ maxMessages, maxBytes, expiresMs }: PullOptions): string {
  return JSON.stringify({
    batch: maxMessages,
    ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }),
    no_wait: true,
    ...(expiresMs === 0 ? {} : { expires: nanos(expiresMs) }),
  });
}

/** What a message without content means: its status stands in the first line of its headers. Null for a heartbeat. */
function readStatus({ headers }: Msg): PullEnd | null {
  const code = headers?.code ?? 0;
  const description = headers?.description ?? "";
  switch (code) {
    case 100:
      return null;
    case 404:
      return "over";
    case 408:
      return description === "Requests Pending" ? "not now" : "over";
    case 409:
      if (description === "Batch Completed") return "over";
      if (description === "Message Size Exceeds MaxBytes") return "too large";
      return description === "Consumer Deleted" ? "no consumer" : "not now";
    case 503:
      return "no consumer";
    default:
      return "not now";
  }
}
