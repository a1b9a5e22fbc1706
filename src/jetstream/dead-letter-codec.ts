import { gunzipSync, gzipSync } from "node:zlib";
import { CUT_OFF_NOTE, type DeadLetter } from "../domain/dead-letter.ts";
import { STRING_CODE_POINTS_MAX } from "../domain/limits.ts";

/**
 * A dead letter as it stands in the stream: its JSON, gzipped where that is larger than a message may be (an
 * unreadable message grows by a third as base64).
 */
export interface EncodedDeadLetter {
  readonly body: Uint8Array;
  readonly encoding: "gzip" | null;
}

const SHARE_KEPT = 0.9;
const DETAIL_CHARACTERS_MAX = 1_000;

/**
 * @param maxBytes the largest body. A dead letter that is larger even when gzipped loses the end of its payload: one that
 * cannot be stored at all would keep its message in the queue for ever.
 */
export function encodeDeadLetter(letter: DeadLetter, maxBytes: number): EncodedDeadLetter {
  let left = letter;
  for (;;) {
    const json = Buffer.from(JSON.stringify(left), "utf8");
    if (json.byteLength <= maxBytes) return { body: json, encoding: null };
    const gzipped = gzipSync(json);
    if (gzipped.byteLength <= maxBytes) return { body: gzipped, encoding: "gzip" };
    left = shorten(letter, left);
  }
}

/** @returns null for what is no dead letter. */
export function decodeDeadLetter(body: Uint8Array, encoding: string): DeadLetter | null {
  try {
    const json = encoding === "gzip" ? gunzipSync(body) : body;
    const letter = JSON.parse(Buffer.from(json).toString("utf8")) as Partial<DeadLetter> | null;
    return typeof letter?.id === "string" ? (letter as DeadLetter) : null;
  } catch {
    return null;
  }
}

function shorten(letter: DeadLetter, { payload }: DeadLetter): DeadLetter {
  const bytes =
    "base64" in payload
      ? Buffer.from(payload.base64, "base64")
      : Buffer.from(JSON.stringify(payload), "utf8");
  return {
    ...letter,
    detail: `${letter.detail.slice(0, DETAIL_CHARACTERS_MAX)} ${CUT_OFF_NOTE}`,
    // No user can have such an id; it stands in the payload too.
    userId:
      letter.userId !== null && letter.userId.length > 2 * STRING_CODE_POINTS_MAX ? null : letter.userId,
    payload: { base64: bytes.subarray(0, Math.floor(bytes.byteLength * SHARE_KEPT)).toString("base64") },
  };
}
