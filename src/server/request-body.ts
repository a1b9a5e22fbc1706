import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { gunzipSync, inflateSync } from "node:zlib";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { BODY_BYTES_MAX } from "../domain/limits.ts";
import { ApiError } from "../errors.ts";
import { badUserInput } from "../resolvers/arguments.ts";
import { createHoldings, type Holdings } from "./holdings.ts";

/** The least wait of a caller whose body was cut off; retries are spread over as long again. */
const RETRY_AFTER_MS = 1_000;

type Done = (error: Error | null, body?: unknown) => void;

/**
 * Takes JSON in UTF-8 and nothing else, for each route that reads a body. Fastify's own parser also takes text/plain, and decodes
 * whatever bytes come: ids must not be changed silently. Nor does it know what the bodies of all requests hold together.
 *
 * A body of more than BODY_BYTES_MAX, as it was sent or as it was before it was compressed, is BATCH_TOO_LARGE. Where those that have arrived in part hold more than `bytesMax`, the
 * eldest is OVERLOADED. (For how long one may arrive is Node's to look after, see ArrivalLimits.)
 */
export function acceptJsonOnly(
  fastify: FastifyInstance,
  options: {
    readonly bytesMax: number;
    readonly monotonicMs: () => number;
    readonly random: () => number;
    /** Called for each body that was cut off. */
    readonly onCutOff: () => void;
  },
): void {
  const arriving = createHoldings<BodyReader>({
    bytesMax: options.bytesMax,
    msMax: Number.POSITIVE_INFINITY,
    monotonicMs: options.monotonicMs,
    cutOff(reader) {
      options.onCutOff();
      reader.end(overloaded(options.random));
    },
  });
  const parseJson = fastify.getDefaultJsonParser("error", "error");
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser("application/json", (request, payload, done: Done) => {
    const encoding = request.headers["content-encoding"]?.toLowerCase() ?? "identity";
    if (!isEncoding(encoding)) {
      done(new UnknownEncodingError(`there is no way to read ${encoding}`));
      return;
    }
    readBody(request, payload, arriving, (error, sent) => {
      const body = sent === undefined ? error : decoded(sent, encoding);
      if (!Buffer.isBuffer(body)) done(body);
      else if (isUtf8(body)) parseJson(request, body.toString("utf8"), done);
      else done(badUserInput("The body must be JSON in UTF-8."));
    });
  });
}

/** One that reads a body; `end` makes it stop. */
interface BodyReader {
  end(error: Error): void;
}

function readBody(
  { headers, raw }: FastifyRequest,
  payload: IncomingMessage,
  arriving: Holdings<BodyReader>,
  done: (error: Error | null, body?: Buffer) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const holding = arriving.open({ end: finish });

  function finish(error: Error): void {
    payload.off("data", read).off("end", end).off("error", breakOff);
    holding.release();
    done(error);
  }

  function read(chunk: Buffer): void {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      finish(tooLarge());
      return;
    }
    chunks.push(chunk);
    holding.add(chunk.length);
  }

  /** All is there, so that only an error of the connection could still come. */
  function end(): void {
    payload.off("error", breakOff);
    holding.release();
    const [first] = chunks;
    done(null, chunks.length === 1 ? first : Buffer.concat(chunks, bytes));
  }

  /** The client is gone: the request ends with its connection, as CLIENT_GONE. */
  function breakOff(): void {
    holding.release();
    raw.destroy();
  }

  if (Number(headers["content-length"]) > BODY_BYTES_MAX) {
    done(tooLarge());
    return;
  }
  payload.on("data", read).on("end", end).on("error", breakOff);
}

/**
 * At once and not in a thread: 256 KiB take 0.5 ms (measured), and many that were under way together would each hold as much as a
 * body may. Of br and zstd the sender chooses how large a window the decoder has to hold, so they are not read.
 */
const DECODERS = {
  identity: (body: Buffer) => body,
  gzip: (body: Buffer) => gunzipSync(body, { maxOutputLength: BODY_BYTES_MAX }),
  deflate: (body: Buffer) => inflateSync(body, { maxOutputLength: BODY_BYTES_MAX }),
} as const;
type Encoding = keyof typeof DECODERS;
/** As the header `accept-encoding` of an answer has it (RFC 9110, section 12.5.3). */
export const ENCODINGS_READ = "gzip, deflate";

/** The body is in an encoding that is not read. */
export class UnknownEncodingError extends Error {
  override readonly name = "UnknownEncodingError";
}

function isEncoding(name: string): name is Encoding {
  return Object.hasOwn(DECODERS, name);
}

/** The body as it was before it was compressed, or why it cannot be read. */
function decoded(body: Buffer, encoding: Encoding): Buffer | ApiError {
  try {
    return DECODERS[encoding](body);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") return tooLarge();
    return badUserInput(`The body is not the ${encoding} that its content-encoding header says.`);
  }
}

function tooLarge(): ApiError {
  return new ApiError(
    "BATCH_TOO_LARGE",
    `The request body is larger than ${BODY_BYTES_MAX} bytes. Send fewer impressions, ids or candidates at a time.`,
  );
}

function overloaded(random: () => number): ApiError {
  return new ApiError(
    "OVERLOADED",
    "More bodies are on their way than the service holds, and this one was the slowest. Send the same again after retryAfterMs.",
    Math.round(RETRY_AFTER_MS * (1 + random())),
  );
}
