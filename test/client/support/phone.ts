import { createImpressionsOn, type Impressions } from "../../../client/src/impressions.ts";
import type { CoreOptions } from "../../../client/src/options.ts";
import type { HttpAnswer, HttpRequest, Platform } from "../../../client/src/platform.ts";
import { createRandom } from "../../kit/random.ts";
import {
  accepted,
  type Boot,
  createDevice,
  createLedger,
  createWorld,
  type Device,
  type Ledger,
  type World,
} from "./virtual-world.ts";

/** A phone in virtual time whose server answers as the test says. */
export interface Phone {
  readonly world: World;
  readonly device: Device;
  readonly ledger: Ledger;
  /** The requests, in order. */
  readonly requests: SentRequest[];
  /** Answers that come first, before the server takes everything: each is used once. */
  readonly answers: (HttpAnswer | "lost answer" | "never")[];
  /** The server's answers for these posts, instead of accepting them. */
  refuse: (postIds: readonly string[]) => HttpAnswer | undefined;
  /** The parts of the app's platform that the test replaces. */
  platform: (platform: Platform) => Platform;
  start(options?: Partial<CoreOptions>): App;
}

export interface SentRequest extends HttpRequest {
  /** Since the beginning. */
  readonly atMs: number;
  readonly input: {
    readonly userId?: string;
    readonly sentAt?: string;
    readonly impressions: readonly { readonly postId: string; readonly viewedAt: string }[];
  };
}

export interface App {
  readonly impressions: Impressions;
  readonly boot: Boot;
  readonly errors: { code: string; message: string; retryAfterMs?: number }[];
  readonly dropped: { postIds: string[]; reason: string; total: number }[];
}

/** @param knownClock whether an earlier run has learned that the device's clock is right. */
export function createPhone({ syncStorage = true, seed = 1, knownClock = true } = {}): Phone {
  const world = createWorld();
  const startMs = world.nowMs();
  const ledger = createLedger();
  const requests: SentRequest[] = [];
  const answers: Phone["answers"] = [];
  const wait = () => new Promise<void>((resolve) => void world.after(50, resolve));

  async function post(request: HttpRequest): Promise<HttpAnswer> {
    const { input } = (JSON.parse(request.body) as { variables: Pick<SentRequest, "input"> }).variables;
    requests.push({ ...request, input, atMs: world.nowMs() - startMs });
    const answer = answers.shift() ?? phone.refuse(input.impressions.map(({ postId }) => postId));
    await wait();
    if (answer === "never") return new Promise(() => undefined);
    if (typeof answer === "object") return answer;
    const receivedAtMs = world.nowMs();
    ledger.take(request.body, receivedAtMs);
    await wait();
    if (answer === "lost answer") throw new TypeError("connection reset");
    return accepted(receivedAtMs);
  }

  const device = createDevice(world, createRandom(seed), post, { syncStorage });
  if (knownClock) device.disk.values.set("impressions-clock", "0");
  const phone: Phone = {
    world,
    device,
    ledger,
    requests,
    answers,
    refuse: () => undefined,
    platform: (platform) => platform,
    start(options = {}) {
      const boot = device.boot();
      const errors: App["errors"] = [];
      const dropped: App["dropped"] = [];
      const impressions = createImpressionsOn(phone.platform(boot.platform), {
        userId: "maria",
        onError: (error) => errors.push(error),
        onDropped: ({ impressions: lost, reason, total }) =>
          dropped.push({ postIds: lost.map(({ postId }) => postId), reason, total }),
        ...options,
      } as CoreOptions);
      return { impressions, boot, errors, dropped };
    },
  };
  return phone;
}

/** `viewed` for `count` posts. */
export function view({ impressions }: App, count: number, prefix = "p"): void {
  for (let index = 0; index < count; index++) impressions.viewed(`${prefix}${index}`);
}
