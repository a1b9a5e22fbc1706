import type {
  HttpAnswer,
  HttpRequest,
  ImpressionStorage,
  LifecycleListener,
  Platform,
} from "../../../client/src/platform.ts";
import { clockShiftMs } from "../../../src/domain/time.ts";
import type { Random } from "../../kit/random.ts";

/** Virtual time: what is to happen, in order. */
export interface World {
  nowMs(): number;
  /** Runs `task` after `delayMs`; the answer cancels it. */
  after(delayMs: number, task: () => void): () => void;
  /** Lets that much time pass, with all that happens in it. */
  pass(durationMs: number): Promise<void>;
}

const START_MS = Date.UTC(2026, 0, 1);

export function createWorld(): World {
  let nowMs = START_MS;
  let queue: { readonly atMs: number; readonly task: () => void }[] = [];
  /** All promises that can go on have done so. */
  const settled = () => new Promise<void>((resolve) => void setImmediate(resolve));
  return {
    nowMs: () => nowMs,
    after(delayMs, task) {
      const entry = { atMs: nowMs + delayMs, task };
      queue.push(entry);
      return () => {
        queue = queue.filter((other) => other !== entry);
      };
    },
    async pass(durationMs) {
      const endMs = nowMs + durationMs;
      await settled();
      for (;;) {
        let next = queue[0];
        for (const entry of queue) if (next !== undefined && entry.atMs < next.atMs) next = entry;
        if (next === undefined || next.atMs > endMs) break;
        const { atMs, task } = next;
        queue = queue.filter((entry) => entry !== next);
        nowMs = Math.max(nowMs, atMs);
        task();
        await settled();
      }
      nowMs = endMs;
    },
  };
}

/** The behaviour of a device's storage at a write. */
export interface Disk {
  readonly values: Map<string, string>;
  bytesWritten: number;
  failing: boolean;
  /** Writes take up to a minute; only of a storage that answers later. */
  hanging: boolean;
  /** How many of those are on their way. */
  slow: number;
  /** Keys whose last write was refused. */
  readonly refused: Set<string>;
  readonly latencyMsMax: number;
}

/** How long a write may take. */
export const WRITE_MS_MAX = 100;

/** And where it hangs. */
const SLOW_WRITE_MS_MAX = 60_000;

/** A device on which one app runs at a time, until it is killed. */
export interface Device {
  readonly disk: Disk;
  readonly skewMs: { value: number };
  readonly networkUp: { value: boolean };
  /** Only the monotonic clock stands still. */
  sleep(durationMs: number): void;
  /** The platform of a new run of the app. */
  boot(): Boot;
}

export interface Boot {
  readonly platform: Platform;
  lifecycle(): LifecycleListener | undefined;
  /** Timers that this run has set. */
  timers(): number;
  /** Ends the run without a word: of the writes on their way each is done or not. */
  kill(): void;
}

export function createDevice(
  world: World,
  random: Random,
  post: (request: HttpRequest, boot: object) => Promise<HttpAnswer>,
  { syncStorage, bodyBytesMax = 240_000 }: { readonly syncStorage: boolean; readonly bodyBytesMax?: number },
): Device {
  const disk: Disk = {
    values: new Map(),
    bytesWritten: 0,
    failing: false,
    hanging: false,
    slow: 0,
    refused: new Set(),
    latencyMsMax: WRITE_MS_MAX,
  };
  const skewMs = { value: 0 };
  const networkUp = { value: true };
  let sleptMs = 0;
  let living: object | undefined;

  function boot(): Boot {
    const self = {};
    living = self;
    const alive = () => living === self;
    const inFlight = new Set<() => void>();
    let timers = 0;
    let listener: LifecycleListener | undefined;
    const never = <Value>() => new Promise<Value>(() => undefined);

    function effect(key: string, apply: () => void): Promise<void> | void {
      if (!alive()) return never();
      if (disk.failing) disk.refused.add(key);
      else disk.refused.delete(key);
      if (syncStorage) {
        if (disk.failing) throw new Error("QuotaExceededError");
        return apply();
      }
      const failing = disk.failing;
      return new Promise((resolve, reject) => {
        const { hanging } = disk;
        if (hanging) disk.slow++;
        const run = () => {
          inFlight.delete(run);
          if (hanging) disk.slow--;
          if (!failing) apply();
          if (alive()) failing ? reject(new Error("disk full")) : resolve();
        };
        inFlight.add(run);
        const latencyMs = random.integer(0, hanging ? SLOW_WRITE_MS_MAX : WRITE_MS_MAX);
        world.after(latencyMs, () => void (inFlight.has(run) && run()));
      });
    }

    const storage: ImpressionStorage = {
      keys: () => (alive() ? [...disk.values.keys()] : never()),
      get: (key) => (alive() ? (disk.values.get(key) ?? null) : never()),
      set: (key, value) =>
        effect(key, () => {
          disk.bytesWritten += value.length;
          disk.values.set(key, value);
        }),
      remove: (key) => effect(key, () => void disk.values.delete(key)),
    };

    const platform: Platform = {
      wallMs: () => Math.round(world.nowMs() + skewMs.value),
      monotonicMs: () => world.nowMs() - START_MS - sleptMs,
      timer(delayMs, task) {
        timers++;
        let ended = false;
        const end = () => {
          if (!ended) timers--;
          ended = true;
        };
        const cancel = world.after(delayMs, () => {
          end();
          if (alive()) task();
        });
        return () => {
          end();
          cancel();
        };
      },
      random: () => random.next(),
      post(request) {
        if (!alive()) return never();
        return post(request, self).then((answer) => (alive() ? answer : never()));
      },
      online: () => networkUp.value,
      listen(given) {
        listener = given;
        return () => {
          listener = undefined;
        };
      },
      storage,
      locks: { acquire: () => () => undefined },
      bodyBytesMax,
    };
    return {
      platform,
      lifecycle: () => listener,
      timers: () => timers,
      kill() {
        living = undefined;
        for (const run of inFlight) {
          if (random.chance(0.5)) run();
          inFlight.delete(run);
        }
        disk.slow = 0;
      },
    };
  }

  return {
    disk,
    skewMs,
    networkUp,
    sleep(durationMs) {
      sleptMs += durationMs;
    },
    boot,
  };
}

/** The server's views by post: the instants, after its own correction of the sender's clock. */
export interface Ledger {
  readonly instantsOf: Map<string, Set<number>>;
  /** Takes a request as docs/semantics.md says. */
  take(body: string, receivedAtMs: number): number;
}

interface SentBody {
  readonly variables: {
    readonly input: {
      readonly sentAt?: string;
      readonly impressions: readonly { readonly postId: string; readonly viewedAt: string }[];
    };
  };
}

export function createLedger(): Ledger {
  const instantsOf = new Map<string, Set<number>>();
  return {
    instantsOf,
    take(body, receivedAtMs) {
      const { sentAt, impressions } = (JSON.parse(body) as SentBody).variables.input;
      const shiftMs = clockShiftMs(receivedAtMs, sentAt === undefined ? null : Date.parse(sentAt));
      for (const { postId, viewedAt } of impressions) {
        const instants = instantsOf.get(postId) ?? new Set();
        instantsOf.set(postId, instants.add(Date.parse(viewedAt) + shiftMs));
      }
      return impressions.length;
    },
  };
}

export function sizeOf(body: string): number {
  return postsOf(body).length;
}

export function postsOf(body: string): string[] {
  return (JSON.parse(body) as SentBody).variables.input.impressions.map(({ postId }) => postId);
}

export function accepted(receivedAtMs: number, flushAfterMs = 0): HttpAnswer {
  const receivedAt = new Date(receivedAtMs).toISOString();
  const text = JSON.stringify({ data: { recordImpressions: { accepted: 1, receivedAt, flushAfterMs } } });
  return { status: 200, retryAfter: null, text };
}

export function failed(status: number, code: string, retryAfterMs?: number, message = code): HttpAnswer {
  const text = JSON.stringify({ errors: [{ message, extensions: { code, retryAfterMs } }] });
  return { status, retryAfter: null, text };
}
