import { attempt } from "./bounded.ts";
import type { ServerClock } from "./clock.ts";
import type { GetToken } from "./options.ts";
import type { WaitingView } from "./outbox-chunk.ts";
import type { Platform } from "./platform.ts";
import {
  BODY_FRAME_BYTES_MAX,
  bodyOf,
  outcomeOf,
  type SendOutcome,
  utf8Bytes,
  viewJson,
} from "./protocol.ts";

/** One request and its answer. */
export interface Transport {
  /**
   * Sends a request, and sends it once more with a fresh token where the server refused the first. Never rejects.
   * Undefined: the request was cancelled.
   */
  send(
    views: readonly WaitingView[],
    signal: AbortSignal,
    isCancelled: () => boolean,
  ): Promise<SendOutcome | undefined>;
  /** Sends without waiting for the answer: the app ends. */
  sendBlind(views: readonly WaitingView[]): void;
}

/** The oldest views that fit in one request: of one frame, within the limits of count and bytes, and at least one. */
export function nextBatch(
  waiting: readonly WaitingView[],
  viewsMax: number,
  bytesMax: number,
): WaitingView[] {
  const views: WaitingView[] = [];
  const first = waiting[0]?.chunk;
  let bytes = BODY_FRAME_BYTES_MAX;
  for (const view of waiting) {
    const { frame, epoch } = view.chunk;
    bytes += utf8Bytes(viewJson(view)) + 1;
    if (views.length === viewsMax || frame !== first?.frame || (frame !== null && epoch !== first.epoch))
      break;
    if (bytes > bytesMax && views.length > 0) break;
    views.push(view);
  }
  return views;
}

export function createTransport(deps: {
  readonly platform: Platform;
  readonly clock: ServerClock;
  readonly userId: string | undefined;
  readonly getToken: GetToken | undefined;
  /** Called when the clock's offset has changed. */
  readonly onClock: () => void;
}): Transport {
  const { platform, clock, userId, getToken } = deps;
  /** The newest one. At the end of a page there is no time to ask for another. */
  let token: string | undefined;

  function request(views: readonly WaitingView[]): { body: string; headers: Record<string, string> } {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    const sentAtMs = views[0] === undefined ? null : clock.sentAtMs(views[0].chunk);
    return { body: bodyOf(views.map(viewJson), sentAtMs, userId), headers };
  }

  return {
    async send(views, signal, isCancelled) {
      for (const refused of [false, true]) {
        try {
          if (getToken !== undefined) token = await getToken(refused);
        } catch (error) {
          return { kind: "later", code: "TOKEN", message: String(error), waitMs: 0 };
        }
        if (isCancelled()) return;
        const learn = clock.measure();
        let outcome: SendOutcome;
        try {
          const answer = await platform.post({ ...request(views), signal });
          outcome = outcomeOf(answer, views.length, platform.wallMs());
        } catch (error) {
          return { kind: "later", code: "NETWORK", message: String(error), waitMs: 0 };
        }
        if (isCancelled()) return;
        if (outcome.kind === "accepted" && learn(outcome.receivedAtMs)) deps.onClock();
        const tokenRefused = outcome.kind === "blocked" && outcome.code === "UNAUTHENTICATED";
        if (!tokenRefused || getToken === undefined || refused) return outcome;
      }
      return;
    },
    sendBlind(views) {
      const { body, headers } = request(views);
      // A beacon carries no Authorization header, and not every platform has beacons.
      attempt(() => {
        if (getToken !== undefined || !platform.beacon?.(body)) return platform.post({ body, headers });
      });
    },
  };
}
