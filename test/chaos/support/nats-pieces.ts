import type { JetStreamNames } from "../../../src/jetstream/names.ts";

/** Whether this is the message that carries impressions into the queue. */
export function isPublish(piece: Buffer, { publishSubject }: JetStreamNames): boolean {
  return piece.toString("latin1", 0, 256).startsWith(`HPUB ${publishSubject} `);
}

/** Whether this is the queue's confirmation of one. */
export function isPubAck(piece: Buffer, { stream }: JetStreamNames): boolean {
  return new RegExp(`^MSG [^\\r]+\\r\\n\\{"stream":"${stream}",\\s*"seq":\\d+`).test(
    piece.toString("latin1"),
  );
}
