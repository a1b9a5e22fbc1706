import { onTestFinished } from "vitest";
import type { Delivery, ImpressionQueue, PullRequest } from "../../../src/ports/impression-queue.ts";

/** How an adapter binds to the contract. */
export interface QueueContract {
  readonly name: string;
  /** Opens a queue that is empty and shares nothing with any other that was opened. */
  open(limits: QueueLimits): Promise<OpenedQueue>;
}

export interface QueueLimits {
  readonly ackWaitMs: number;
  readonly queueMaxBytes: number;
  readonly deadLetterMaxBytes: number;
}

export interface OpenedQueue {
  readonly queue: ImpressionQueue;
  /** Closes the queue and opens what it stored once more, as a restarted process would. */
  reopen(): Promise<ImpressionQueue>;
  /** Closes it if it is open, and removes everything. */
  dispose(): Promise<void>;
}

const MIB = 1_024 * 1_024;

/** Long enough that no lease ends by itself in a test, however slow the machine. */
export const ACK_WAIT_LONG_MS = 300_000;
/** Short enough to wait for, and a whole second, which every engine can do. */
export const ACK_WAIT_SHORT_MS = 1_000;
/** A pull that should find something: generous, since it returns at once when it does. */
export const PATIENT_MS = 60_000;
/** A pull that should find nothing: it takes this long. */
export const BRIEF_MS = 400;

/** @param onFinished a concurrent test gives its own. */
export async function openQueue(
  contract: QueueContract,
  limits: Partial<QueueLimits> = {},
  onFinished: typeof onTestFinished = onTestFinished,
): Promise<OpenedQueue> {
  const opened = await contract.open({
    ackWaitMs: ACK_WAIT_LONG_MS,
    queueMaxBytes: 64 * MIB,
    deadLetterMaxBytes: 64 * MIB,
    ...limits,
  });
  onFinished(() => opened.dispose());
  return opened;
}

export function pullOf(request: Partial<PullRequest> = {}): PullRequest {
  return {
    maxMessages: 100,
    maxBytes: 32 * MIB,
    waitMs: PATIENT_MS,
    signal: new AbortController().signal,
    ...request,
  };
}

/** Publishes these bodies one after the other, each under an id of its own. */
export async function publishAll(queue: ImpressionQueue, bodies: readonly string[]): Promise<void> {
  for (const body of bodies) await queue.publish({ id: newId(), body });
}

/** Pulls until this many messages came: a pull may return with fewer than are there. */
export async function pullCount(queue: ImpressionQueue, count: number): Promise<Delivery[]> {
  const deliveries: Delivery[] = [];
  while (deliveries.length < count) {
    const more = await queue.pull(pullOf({ maxMessages: count - deliveries.length }));
    if (more.length === 0) throw new Error(`only ${deliveries.length} of ${count} messages came`);
    deliveries.push(...more);
  }
  return deliveries;
}

export function bodyOf(delivery: Delivery): string {
  return Buffer.from(delivery.body).toString("utf8");
}

/** The only one; a test that expects one must not pass with two. */
export function only<Item>(items: readonly Item[]): Item {
  const [item] = items;
  if (item === undefined || items.length !== 1) throw new Error(`expected one, got ${items.length}`);
  return item;
}

export function newId(): string {
  return crypto.randomUUID();
}
