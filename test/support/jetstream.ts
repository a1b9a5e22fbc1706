import { connect } from "nats";
import { inject } from "vitest";
import { systemClock } from "../../src/domain/time.ts";
import { namesOf } from "../../src/jetstream/names.ts";
import { type JetStream, type JetStreamOptions, openJetStreamQueue } from "../../src/jetstream/open.ts";
import type {} from "../servers/global-setup.ts";

const MIB = 1_024 * 1_024;
/** A machine that is busy with other servers may be slow; a test that needs less says so. */
const REQUEST_TIMEOUT_MS = 20_000;

/** The log of the service, line by line: the level, the message and its details. */
export interface RecordedLog {
  readonly lines: string[];
  readonly logger: JetStreamOptions["logger"];
}

export function recordLog(): RecordedLog {
  const lines: string[] = [];
  const at = (level: string) => (details: object, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(details)}`);
  };
  return {
    lines,
    logger: { debug: () => undefined, info: at("info"), warn: at("warn"), error: at("error") },
  };
}

let namespaces = 0;

/** Names that no other test has, on a server that they share. */
function newNamespace(): string {
  return `test_${process.pid}_${Date.now().toString(36)}_${++namespaces}`;
}

/** Settings for a queue on the test run's NATS, or on the given one. */
export function jetStreamOptions(given: Partial<JetStreamOptions> = {}): JetStreamOptions {
  return {
    servers: given.servers ?? inject("natsServers"),
    namespace: newNamespace(),
    queueMaxBytes: 64 * MIB,
    queueReplicas: 1,
    deadLetterDays: 30,
    deadLetterMaxBytes: 64 * MIB,
    messagesPerPull: 500,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    clock: systemClock,
    logger: recordLog().logger,
    ...given,
  };
}

export interface TemporaryJetStream {
  current(): JetStream;
  /** Closes it and opens it again, as a restarted process would. */
  reopen(): Promise<JetStream>;
  /** Opens it a second time, as another process would. */
  reopenBeside(): Promise<JetStream>;
  /** Closes it and deletes its streams. */
  dispose(): Promise<void>;
}

export async function openTemporaryJetStream(
  given: Partial<JetStreamOptions> = {},
): Promise<TemporaryJetStream> {
  const options = jetStreamOptions(given);
  let current = await openJetStreamQueue(options);
  const others: JetStream[] = [];
  return {
    current: () => current,
    async reopen() {
      await current.close();
      current = await openJetStreamQueue(options);
      return current;
    },
    async reopenBeside() {
      const other = await openJetStreamQueue(options);
      others.push(other);
      return other;
    },
    async dispose() {
      await Promise.all([current, ...others].map((opened) => opened.close()));
      const client = await connect({ servers: [...options.servers] });
      const manager = await client.jetstreamManager();
      const { stream, deadLetterStream, attemptsStream } = namesOf(options.namespace);
      for (const name of [stream, deadLetterStream, attemptsStream])
        await manager.streams.delete(name).catch(() => false);
      await client.close();
    },
  };
}
