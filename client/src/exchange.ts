import { attempt } from "./bounded.ts";
import type { ServerClock } from "./clock.ts";
import type { GetToken } from "./options.ts";
import type { Platform } from "./platform.ts";
import { BODY_FRAME_BYTES_MAX, bodyOf, utf8Bytes, type Verdict, verdictOf, viewJson } from "./protocol.ts";
import type { WaitingView } from "./segment.ts";

/** Views of one frame that go in one request, and how they stand in it. */
export interface Batch {
  readonly views: readonly WaitingView[];
  readonly parts: readonly string[];
}

/** One request and its answer. */
export interface Exchange {
  /**
   * Sends, a second time where the token was refused. Never rejects.
   * Undefined: `over` said that nobody looks at it any more.
   */
  send(batch: Batch, signal: AbortSignal, over: () => boolean): Promise<Verdict | undefined>;
  /** Sends without waiting for anything: the app ends. */
  sendBlind(batch: Batch): void;
}

/** The oldest views that may go together: of one frame, as many and as large as a request may be; at least one. */
export function nextBatch(waiting: readonly WaitingView[], viewsMax: number, bytesMax: number): Batch {
  const views: WaitingView[] = [];
  const parts: string[] = [];
  let bytes = BODY_FRAME_BYTES_MAX;
  for (const view of waiting) {
    const part = viewJson(view);
    bytes += utf8Bytes(part) + 1;
    if (view.segment.frame !== waiting[0]?.segment.frame || views.length === viewsMax) break;
    if (bytes > bytesMax && views.length > 0) break;
    views.push(view);
    parts.push(part);
  }
  return { views, parts };
}

export function createExchange(deps: {
  readonly platform: Platform;
  readonly clock: ServerClock;
  readonly userId: string | undefined;
  readonly getToken: GetToken | undefined;
  /** The clock's offset was learned, or has changed. */
  readonly onOffset: (offsetMs: number) => void;
}): Exchange {
  const { platform, clock, userId, getToken } = deps;
  /** The last one: at the end of a page there is no time to ask for another. */
  let token: string | undefined;

  function request({ views, parts }: Batch): { body: string; headers: Record<string, string> } {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    return { body: bodyOf(parts, clock.sentAtMs(views[0]?.segment.frame ?? null), userId), headers };
  }

  return {
    async send(batch, signal, over) {
      for (const refused of [false, true]) {
        try {
          if (getToken !== undefined) token = await getToken(refused);
        } catch (error) {
          return { kind: "later", code: "TOKEN", message: String(error), waitMs: 0 };
        }
        if (over()) return;
        const learn = clock.measure();
        let verdict: Verdict;
        try {
          const answer = await platform.post({ ...request(batch), signal });
          verdict = verdictOf(answer, batch.views.length, platform.wallMs());
        } catch (error) {
          return { kind: "later", code: "NETWORK", message: String(error), waitMs: 0 };
        }
        if (over()) return;
        if (verdict.kind === "accepted" && learn(verdict.receivedAtMs)) deps.onOffset(clock.offsetMs());
        const tokenRefused = verdict.kind === "blocked" && verdict.code === "UNAUTHENTICATED";
        if (!tokenRefused || getToken === undefined || refused) return verdict;
      }
      return;
    },
    sendBlind(batch) {
      const { body, headers } = request(batch);
      // A beacon carries no Authorization header, and not every system has one.
      attempt(() => {
        if (getToken !== undefined || !platform.beacon?.(body)) return platform.post({ body, headers });
      });
    },
  };
}
