import { createImpressionsOn, type Impressions } from "../client/src/impressions.ts";
import { memoryStorage, nodePlatform } from "../client/src/node.ts";
import type { Platform } from "../client/src/platform.ts";
import type { Random } from "../test/kit/random.ts";

/** One request, as measured on the owner's phone. */
export interface Sample {
  readonly atMs: number;
  readonly durationMs: number;
  readonly ok: boolean;
}

/** A shop owner with a phone, whose app uses the SDK. */
export interface ShopOwner {
  readonly userId: string;
  /** How often each post was viewed, recorded outside of the SDK. */
  readonly views: Map<string, number>;
  /** Connects or disconnects the phone's network. */
  setOnline(online: boolean): void;
  /** Views a post of the feed. */
  scroll(nowMs: number): void;
  /** Kills the app without a warning, and starts it again. Only its storage survives. */
  restart(): void;
  waiting(): number;
  /** Over all runs of the app. */
  acknowledged(): number;
  /** Dropped or refused; none are expected. */
  dropped(): number;
  flush(): Promise<unknown>;
}

/** Number of posts in the feed. */
const POSTS = 500;
/** Popularity: the n-th most popular post is viewed 1/n as often as the first (Zipf's law). */
const cumulativeTaste = Array.from({ length: POSTS }, (_, index) => 1 / (index + 1));
for (let index = 1; index < POSTS; index++)
  cumulativeTaste[index] = (cumulativeTaste[index] ?? 0) + (cumulativeTaste[index - 1] ?? 0);

export function createShopOwner(
  userId: string,
  endpoint: string,
  random: Random,
  onRequest: (sample: Sample) => void,
): ShopOwner {
  const storage = memoryStorage();
  const views = new Map<string, number>();
  let online = true;
  let awake: (() => void) | undefined;
  let lastViewMs = 0;
  let acknowledgedBefore = 0;
  let droppedBefore = 0;
  let app = start();

  /** One run of the app: its platform stops working with it. */
  function start(): { readonly impressions: Impressions; kill(): void } {
    let alive = true;
    const platform = nodePlatform({ endpoint, storage });
    const mortal: Platform = {
      ...platform,
      storage: { ...storage, set: (key, value) => (alive ? storage.set(key, value) : undefined) },
      timer: (delayMs, task) => platform.timer(delayMs, () => alive && task()),
      locks: { acquire: () => () => undefined },
      online: () => online,
      listen(listener) {
        awake = listener.awake;
        return () => undefined;
      },
      async post(request) {
        if (!online) throw new TypeError("no network");
        const atMs = performance.now();
        const answer = await platform.post(request);
        onRequest({ atMs, durationMs: performance.now() - atMs, ok: answer.status === 200 });
        return alive ? answer : new Promise(() => undefined);
      },
    };
    // The demo takes less than a minute, so it sends after 5 s instead of 30.
    const impressions = createImpressionsOn(mortal, { userId, sendAfterMs: 5_000, backoffMs: 500 });
    return {
      impressions,
      kill() {
        alive = false;
      },
    };
  }

  function pickPost(): string {
    const point = random.next() * (cumulativeTaste.at(-1) ?? 0);
    return `post-${cumulativeTaste.findIndex((sum) => sum >= point) + 1}`;
  }

  const owner: ShopOwner = {
    userId,
    views,
    setOnline(now) {
      const back = now && !online;
      online = now;
      if (back) awake?.();
    },
    scroll(nowMs) {
      // Two views of a post in one millisecond would be one view.
      lastViewMs = Math.max(lastViewMs + 1, nowMs);
      const postId = pickPost();
      views.set(postId, (views.get(postId) ?? 0) + 1);
      app.impressions.viewed(postId, {
        surface: "HOME",
        at: lastViewMs,
        dwellMs: random.integer(1_000, 8_000),
      });
    },
    restart() {
      const { acknowledged, dropped } = app.impressions.status();
      acknowledgedBefore += acknowledged;
      droppedBefore += dropped;
      app.kill();
      app = start();
    },
    waiting: () => app.impressions.status().waiting,
    acknowledged: () => acknowledgedBefore + app.impressions.status().acknowledged,
    dropped: () => droppedBefore + app.impressions.status().dropped,
    flush: () => app.impressions.flush(),
  };
  return owner;
}
