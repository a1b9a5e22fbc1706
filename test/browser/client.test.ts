import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bundle } from "../client/support/bundle.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { type ServiceProcess, startServiceProcess } from "../kit/service-process.ts";
import { walkSeenPosts } from "../kit/walks.ts";
import { CHROMIUM } from "./chromium.ts";

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
/** Whether the site answers that the service is somewhere else, where only a page is. */
let moved = false;
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
    if (moved) {
      answer.writeHead(301, { location: "/elsewhere" }).end();
      return;
    }
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
  browser = await chromium.launch(CHROMIUM);
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
  moved = false;
  posts = 0;
  context = await browser.newContext({ viewport: { width: 800, height: 600 } });
});

async function open(user: string, prefix = "post", y = 0, more = ""): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${origin}/?user=${user}&prefix=${prefix}&y=${y}&tall=3000${more}`);
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
  test("views of a scrolled feed are recorded when the tab is hidden, with place and duration", async () => {
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

  test("also one that is eleven screens high, wherever in it the reader is", async () => {
    const page = await open("taller");
    await page.evaluate("feed.show('tower', 6_600, 'tower')");
    await scrollTo(page, 300);
    await look(page);
    await scrollTo(page, 3_333);
    await look(page);
    await hide(page);
    await expect.poll(() => seen("taller"), WAIT).toContain("tower");
  });

  test.each(["again", "back and again", "another element"])(
    "a post that is observed %s by a render every 0.7 s is one view",
    async (how) => {
      const user = `renders-${how.replaceAll(" ", "-")}`;
      const page = await open(user);
      for (let render = 0; render < 4; render++) {
        await page.evaluate("feed.look(700)");
        await page.evaluate(`feed.renders[${JSON.stringify(how)}]("post-0")`);
      }
      await hide(page);
      await expect.poll(() => seen(user), WAIT).toEqual(["post-0", "post-1"]);
      const [first] = (await walkSeenPosts(service.url, user)).filter(({ post }) => post.id === "post-0");
      expect(first?.dwellMs).toBeGreaterThanOrEqual(4 * 700);
    },
  );

  test("a post in two places is visible while either of them is", async () => {
    const page = await open("pinned");
    await page.evaluate("feed.show('gap', 500); feed.show('pin', 300, 'post-1')");
    await page.evaluate("feed.look(700)");
    // The pinned one goes, and in the same moment the one in the feed comes, which begins at 1,100.
    await scrollTo(page, 1_050);
    await page.evaluate("feed.look(700)");
    await hide(page);
    await expect.poll(() => seen("pinned"), WAIT).toEqual(["post-1"]);
    const [pinned] = await walkSeenPosts(service.url, "pinned");
    expect(pinned?.dwellMs).toBeGreaterThanOrEqual(2 * 700);
  });

  test("an element without area is never visible, and a view ends when its element loses its area", async () => {
    const page = await open("flat");
    await page.evaluate("feed.show('flat', 0, 'flat'); feed.show('folds', 300, 'folds')");
    await look(page);
    await page.evaluate("feed.collapse('folds')");
    await expect.poll(() => page.evaluate("feed.impressions.status()"), WAIT).toMatchObject({ waiting: 1 });
    await look(page);
    await hide(page);
    await expect.poll(() => seen("flat"), WAIT).toEqual(["folds", "post-0", "post-1"]);
  });

  test("odd arguments and functions of their own throw nothing into the page", async () => {
    const page = await open("odd");
    const faults: Error[] = [];
    page.on("pageerror", (error) => faults.push(error));
    await page.evaluate(
      "feed.observe(null, 'p'); feed.observe(document.body, undefined); feed.disconnect(); feed.disconnect()",
    );
    await look(page);
    expect(faults).toEqual([]);
  });

  test.each(["storage", "locks"])("%s that never answer keep nothing back", async (what) => {
    const page = await open(`hangs-${what}`, "post", 0, `&hangs=${what}`);
    await look(page);
    await hide(page);
    await expect.poll(() => seen(`hangs-${what}`), WAIT).toEqual(["post-0", "post-1"]);
    expect(JSON.stringify(await page.evaluate("feed.errors"))).toContain("STORAGE");
  });

  test("an endpoint that has moved: nothing is dropped, and all arrives when it is mended", async () => {
    moved = true;
    const page = await open("moved");
    await look(page);
    await hide(page);
    await expect
      .poll(async () => JSON.stringify(await page.evaluate("feed.errors")), WAIT)
      .toContain("/elsewhere");
    expect(await page.evaluate("feed.impressions.status()")).toMatchObject({ waiting: 2, dropped: 0 });
    moved = false;
    await flush(page);
    await expect.poll(() => seen("moved"), WAIT).toEqual(["post-0", "post-1"]);
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

  test("unsent views of a closed tab wait in the browser for the next one", async () => {
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
