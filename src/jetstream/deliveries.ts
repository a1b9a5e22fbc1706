import { type Msg, nanos } from "nats";
import type { Delivery } from "../ports/impression-queue.ts";
import type { Connection } from "./connection.ts";
import type { Arrival } from "./pull.ts";

/**
 * How a message is acked or nacked: by publishing one of these words to the subject that came with it
 * (https://docs.nats.io/reference/reference-protocols/nats_api_reference#acknowledging-messages).
 */
const ACK = "+ACK";
const NAK = "-NAK";
const WORKING = "+WPI";

/** The messages in flight in this process: turns what arrives into deliveries, and acks, naks and extends them. */
export interface Deliveries {
  take(arrival: Arrival): Delivery;
  /** Acks the messages, whichever worker has them by now: the work is done. */
  ack(deliveries: readonly Delivery[]): Promise<void>;
  nak(deliveries: readonly Delivery[], delayMs: number): Promise<void>;
  extend(deliveries: readonly Delivery[]): Promise<void>;
  /** Naks a message that no pull waits for any more. Does not wait: if the nak is lost, ackWait ends the lease. */
  nakUnwanted(message: Msg): void;
}

/** A delivery's private side. */
interface Hold {
  readonly replySubject: string;
  /** Monotonic. Afterwards the message may be in other hands, and a late nak would take it out of them. */
  untilMs: number;
}

export function createDeliveries(connection: Connection, ackWaitMs: number): Deliveries {
  const holds = new WeakMap<Delivery, Hold>();

  function holdOf(delivery: Delivery): Hold {
    const hold = holds.get(delivery);
    if (hold === undefined)
      throw new TypeError(`message ${delivery.sequence} was not delivered by this queue`);
    return hold;
  }

  function stillHeld(deliveries: readonly Delivery[]): Hold[] {
    const nowMs = connection.clock.monotonicMs();
    return deliveries.map(holdOf).filter(({ untilMs }) => untilMs > nowMs);
  }

  /**
   * Tells the same about all messages. Only the last word asks for an answer: the server takes the words of one
   * connection in order, so that its answer confirms all of them, at the price of one. A word that did not arrive costs
   * no more than a redelivery, but a caller may rely on what it was told: an answer proves that the word was carried
   * out (on a replicated stream, by a majority), where a flush would only prove that the server has read it.
   */
  async function tell(holds: readonly Hold[], word: string): Promise<void> {
    const last = holds.at(-1);
    if (last === undefined) return;
    await connection.request(() => {
      for (const { replySubject } of holds.slice(0, -1)) connection.nats.publish(replySubject, word);
      return connection.nats.request(last.replySubject, word, { timeout: connection.requestTimeoutMs });
    });
  }

  return {
    take({ message, atMs }) {
      const { sequence, deliveries, publishedAtMs } = readReplySubject(message.reply ?? "");
      const delivery: Delivery = { sequence, body: message.data, deliveries, publishedAtMs };
      holds.set(delivery, { replySubject: message.reply ?? "", untilMs: atMs + ackWaitMs });
      return delivery;
    },

    // In order of sequence: where the server passes over one (it has not delivered it itself, after a change of
    // leader), it passes over every later one and does not answer, so that nothing is confirmed that was not done.
    ack: (deliveries) => tell(deliveries.toSorted((a, b) => a.sequence - b.sequence).map(holdOf), ACK),

    nak(deliveries, delayMs) {
      const word = delayMs > 0 ? `${NAK} ${JSON.stringify({ delay: nanos(delayMs) })}` : NAK;
      return tell(stillHeld(deliveries), word);
    },

    async extend(deliveries) {
      const held = stillHeld(deliveries);
      const untilMs = connection.clock.monotonicMs() + ackWaitMs;
      await tell(held, WORKING);
      for (const hold of held) hold.untilMs = untilMs;
    },

    nakUnwanted(message) {
      if (connection.outage() === null) message.respond(NAK);
    },
  };
}

/**
 * What the server says in a delivery's reply subject:
 *
 *   $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<consumer sequence>.<time, ns>.<pending>
 *   $JS.ACK.<domain>.<account>.<stream>.<consumer>.<deliveries>.<sequence>.<consumer sequence>.<time, ns>.<pending>...
 */
function readReplySubject(subject: string): Pick<Delivery, "sequence" | "deliveries" | "publishedAtMs"> {
  const tokens = subject.split(".");
  const [deliveries, sequence, , timeNs] = tokens.slice(tokens.length === 9 ? 4 : 6);
  return {
    deliveries: Number(deliveries),
    sequence: Number(sequence),
    publishedAtMs: Math.floor(Number(timeNs) / 1_000_000),
  };
}
