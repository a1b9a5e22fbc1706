import { afterEach, expect, test, vi } from "vitest";
import type { ClusterInstallation } from "../../kit/cluster-installation.ts";
import { createRandom } from "../../kit/random.ts";
import type { ServiceProcess } from "../../kit/service-process.ts";
import { type Balancer, startBalancer } from "../../servers/balancer.ts";
import { freeBasePort } from "../../servers/ports.ts";
import { createLedger } from "../../support/ledger.ts";
import { startSenders } from "../../support/senders.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

const PATIENCE = { timeout: 120_000, interval: 50 };
/** Far longer than the balancer takes to notice, on a busy machine as well. */
const SHUTDOWN_DELAY_MS = "2000";
const ROLES = ["worker", "worker", "api", "api"] as const;

let installation: ClusterInstallation | undefined;
let balancer: Balancer | undefined;

afterEach(async () => {
  await balancer?.close();
  await installation?.dispose();
});

test("a rolling restart under load: no mutation fails, nothing is lost", async () => {
  const cluster = await openSharedInstallation();
  installation = cluster;
  const port = await freeBasePort(["127.0.0.1"], [0, 1, 2, 3]);
  const start = (index: number) =>
    cluster.start(ROLES[index] ?? "api", { PORT: String(port + index), SHUTDOWN_DELAY_MS });
  const processes = await Promise.all(ROLES.map((_role, index) => start(index)));
  const apis = processes.filter((_process, index) => ROLES[index] === "api").map(({ url }) => url);
  const front = await startBalancer(apis);
  balancer = front;
  await vi.waitFor(() => expect(front.ready()).toHaveLength(apis.length), PATIENCE);

  const ledger = createLedger();
  const random = createRandom(27);
  const senders = startSenders({ ledger, random, url: () => front.url, senders: 3, users: 30, posts: 20 });
  const moreAcknowledged = async () => {
    const enough = ledger.acknowledged() + 50;
    await vi.waitFor(() => expect(ledger.acknowledged()).toBeGreaterThan(enough), PATIENCE);
  };
  // Workers first, as docs/operations.md says.
  for (const [index, { url }] of processes.entries()) {
    await moreAcknowledged();
    const old = processes[index] as ServiceProcess;
    const ended = old.kill("SIGTERM");
    if (ROLES[index] === "api") {
      // It says that it leaves while it still answers: that is what the balancer goes by.
      await vi.waitFor(() => expect(front.ready()).not.toContain(url), PATIENCE);
      const leaving = await fetch(new URL("readyz", url));
      expect([leaving.status, leaving.headers.get("connection"), await leaving.json()]).toMatchObject([
        503,
        "close",
        { ready: false, phase: "stopping" },
      ]);
    }
    expect(await ended).toEqual({ code: 0, signal: null });
    await moreAcknowledged();
    processes[index] = await start(index);
    if (ROLES[index] === "api") await vi.waitFor(() => expect(front.ready()).toContain(url), PATIENCE);
  }
  await moreAcknowledged();
  await senders.stop();

  expect(Object.keys(ledger.outcomes())).toEqual(["acknowledged"]);
  const [url = ""] = apis;
  const figures = await vi.waitFor(() => ledger.check(url), { timeout: 120_000, interval: 1_000 });
  expect(figures).toMatchObject({ stored: ledger.acknowledged(), deadLettered: 0 });
  expect(figures.acknowledged).toBeGreaterThan(200);
});
