/** Cuts the bytes that have come into whole frames of a protocol, and what is left of the last one. */
export type FrameSplitter = (bytes: Buffer) => { readonly frames: Buffer[]; readonly rest: Buffer };

/**
 * The NATS client protocol, both directions: a line, and after PUB, HPUB, MSG and HMSG as many bytes as its last number
 * says (https://docs.nats.io/reference/reference-protocols/nats-protocol).
 */
export const natsFrames: FrameSplitter = (bytes) =>
  cut(bytes, (left) => {
    const end = left.indexOf("\r\n");
    if (end === -1) return null;
    const line = left.toString("latin1", 0, end);
    const size = /^H?(?:PUB|MSG) .*?(\d+)$/i.exec(line)?.[1];
    return size === undefined ? end + 2 : end + 2 + Number(size) + 2;
  });

/** Of a CQL frame's header: version, flags, stream (2), opcode, length (4). */
const CQL_HEADER_BYTES = 9;

/** The CQL binary protocol up to version 4, without compression. */
export const cqlFrames: FrameSplitter = (bytes) =>
  cut(bytes, (left) =>
    left.byteLength < CQL_HEADER_BYTES ? null : CQL_HEADER_BYTES + left.readUInt32BE(CQL_HEADER_BYTES - 4),
  );

function cut(bytes: Buffer, lengthOf: (left: Buffer) => number | null): ReturnType<FrameSplitter> {
  const frames: Buffer[] = [];
  let rest = bytes;
  for (;;) {
    const length = lengthOf(rest);
    if (length === null || rest.byteLength < length) return { frames, rest };
    frames.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
}

const CQL_EXECUTE = 0x0a;
const CQL_BATCH = 0x0d;
const CQL_ERROR = 0x00;
const CQL_WRITE_TIMEOUT = 0x1100;
const CQL_RESPONSE = 0x80;
const CQL_LOCAL_QUORUM = 6;

/** Which request of a connection a CQL frame belongs to. */
export function cqlStream(frame: Buffer): number {
  return frame.readInt16BE(2);
}

/** Whether a frame runs prepared statements: reads and single writes, or a batch of writes. */
export function isCqlStatement(frame: Buffer): boolean {
  return frame[4] === CQL_EXECUTE || frame[4] === CQL_BATCH;
}

/** The answer of a coordinator whose replicas did not confirm a batch in time. */
export function cqlWriteTimeout(stream: number): Buffer {
  const message = Buffer.from("Operation timed out - received only 0 responses.");
  const writeType = Buffer.from("UNLOGGED_BATCH");
  const body = Buffer.concat([
    int(CQL_WRITE_TIMEOUT),
    short(message.byteLength),
    message,
    short(CQL_LOCAL_QUORUM),
    int(0),
    int(1),
    short(writeType.byteLength),
    writeType,
  ]);
  const header = Buffer.from([CQL_RESPONSE | 4, 0, 0, 0, CQL_ERROR]);
  header.writeInt16BE(stream, 2);
  return Buffer.concat([header, int(body.byteLength), body]);
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function short(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
