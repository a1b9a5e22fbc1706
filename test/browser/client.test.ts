import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bundle } from "../client/support/bundle.ts";
import { CHROMIUM_ARGS, CHROMIUM_PATH } from "../support/chromium.ts";
import { createTemporaryDirectory } from "../support/directory.ts";
import { type ServiceProcess, startServiceProcess } from "../support/service-process.ts";
import { walkSeenPosts } from "../support/walks.ts";

/** The SDK in a real browser: a page with a feed, from one origin with the service behind it. */

const ROOT = join(import.meta.dirname, "../..");
const WAIT = { timeout: 60_000, interval: 100 };
/** A post is a view after a second; a browser on a busy machine may take its time to tell. */
const LOOK_MS_MIN = 1_000;

const directory = createTemporaryDirectory();
let service: ServiceProcess;
let site: Server;
let origin: string;
let browser: Browser;
let context: BrowserContext;
/** Whether the site passes requests on to the service. */
let reachable = true;
let posts = 0;

beforeAll(async () => {
  service = await startServiceProcess({ DATA_DIR: directory.path });
  const script = await bundle(join(ROOT, "test/client/support/feed.ts"), ROOT);
  const page = `<!doctype html><meta charset="utf-8"><title>feed</title><body style="margin:0"><script>${script}</script>`;
  site = createServer((incoming, answer) => {
    if (incoming.url !== "/graphql") {
      answer.writeHead(200, { "content-type": "text/html" }).end(page);
      return;
    }
    posts++;
    if (!reachable) {
      incoming.socket.destroy();
      return;
    }
    const { method, headers } = incoming;
    const passed = request(new URL("/graphql", service.url), { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => void site.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  browser = await chromium.launch({
    executablePath: CHROMIUM_PATH,
    headless: true,
    args: [...CHROMIUM_ARGS],
  });
});

afterAll(async () => {
  await browser?.close();
  site?.closeAllConnections();
  site?.close();
  await service?.kill("SIGKILL");
  directory.remove();
});

beforeEach(async () => {
  await context?.close();
  reachable = true;
  posts = 0;
  context = await browser.newContext({ viewport: { width: 800, height: 600 } });
});

async function open(user: string, prefix = "post", y = 0): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${origin}/?user=${user}&prefix=${prefix}&y=${y}`);
  return page;
}

/** Looks at what is on the screen for as long as a view takes, by the page's own clock. */
const look = (page: Page) => page.evaluate(`feed.look(${LOOK_MS_MIN + 200})`);
/** Headless Chromium has no window to cover: the page is told what it would be told. */
const hide = (page: Page) => page.evaluate("feed.hide()");
const scrollTo = (page: Page, y: number) => page.evaluate(`scrollTo(0, ${y})`);
const flush = (page: Page) => page.evaluate<{ readonly waiting: number }>("feed.impressions.flush()");

const seen = async (user: string) => {
  const nodes = await walkSeenPosts(service.url, user);
  for (const { post, views } of nodes) expect(views, post.id).toBe(1);
  return nodes.map(({ post }) => post.id).sort();
};
const stored = (page: Page) => page.evaluate<string>("Object.values(localStorage).join()");

describe("a feed in Chromium", () => {
  test("what was scrolled past is recorded when the tab is hidden, with place and duration", async () => {
    const page = await open("hides");
    await look(page);
    await scrollTo(page, 600);
    await look(page);
    await hide(page);
    await expect.poll(() => seen("hides"), WAIT).toEqual(["post-0", "post-1", "post-2", "post-3"]);
    const [first] = (await walkSeenPosts(service.url, "hides")).filter(({ post }) => post.id === "post-0");
    expect(first).toMatchObject({ surface: "HOME", position: 0 });
    expect(first?.dwellMs).toBeGreaterThanOrEqual(LOOK_MS_MIN);
    await expect.poll(() => stored(page), WAIT).not.toContain("post-");
  });

  test("a post taller than the screen is seen by the share of the screen that it fills", async () => {
    const page = await open("tall", "post", 1_500 + 1_000);
    await look(page);
    await hide(page);
    await expect.poll(() => seen("tall"), WAIT).toEqual(["post-5"]);
  });

  test("a closed tab's last views arrive", async () => {
    const page = await open("closes");
    await look(page);
    await page.close({ runBeforeUnload: true });
    await expect.poll(() => seen("closes"), WAIT).toEqual(["post-0", "post-1"]);
  });

  test("a page that goes to another page has sent its views", async () => {
    const page = await open("leaves");
    await look(page);
    await page.goto("about:blank");
    await expect.poll(() => seen("leaves"), WAIT).toEqual(["post-0", "post-1"]);
  });

  test("what a closed tab could not send waits in the browser for the next one", async () => {
    reachable = false;
    const page = await open("offline");
    await look(page);
    await page.close({ runBeforeUnload: true });
    await expect.poll(() => posts, WAIT).toBeGreaterThan(0);
    reachable = true;
    const next = await open("offline", "later");
    await expect
      .poll(async () => {
        await flush(next);
        return seen("offline");
      }, WAIT)
      .toEqual(["post-0", "post-1"]);
    await expect.poll(() => stored(next), WAIT).not.toContain("post-");
  });

  test("two tabs of one browser lose nothing and disturb nothing", async () => {
    reachable = false;
    const [left, right] = [await open("tabs", "left"), await open("tabs", "right")];
    await left.evaluate('feed.view("left", 40)');
    await right.evaluate('feed.view("right", 40)');
    // A third one must not take over what the living ones still hold.
    const third = await open("tabs", "third");
    expect(await flush(third)).toMatchObject({ waiting: 0 });
    await left.close();
    reachable = true;
    await third.close();
    const last = await open("tabs", "last");
    const expected = ["left", "right"].flatMap((name) =>
      Array.from({ length: 40 }, (_, number) => `${name}-view-${number}`),
    );
    await expect
      .poll(async () => {
        for (const tab of [right, last]) await flush(tab);
        return (await seen("tabs")).filter((postId) => postId.includes("-view-"));
      }, WAIT)
      .toEqual(expected.sort());
  });
});
