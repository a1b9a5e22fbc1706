import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import packageJson from "../../package.json" with { type: "json" };
import { describeConfig, readConfig } from "../../src/config.ts";

const DIRECTORY = new URL("../../deploy/kubernetes/", import.meta.url);

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly envFrom: readonly object[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext: object;
  readonly volumeMounts: readonly { readonly mountPath: string }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}
interface Pod {
  readonly containers: readonly [Container];
  readonly securityContext: object;
  readonly terminationGracePeriodSeconds?: number;
}
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data: Readonly<Record<string, string>>;
  readonly spec: {
    readonly template: { readonly metadata: { readonly labels: object }; readonly spec: Pod };
    readonly selector: { readonly matchLabels: object };
  };
}

const manifests = readdirSync(DIRECTORY).flatMap((file) =>
  parseAllDocuments(readFileSync(new URL(file, DIRECTORY), "utf8")).map(
    (document) => document.toJS() as Manifest,
  ),
);
const byName = (kind: string, name: string) =>
  manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name) ??
  expect.fail(`no ${kind} ${name}`);

const shared = byName("ConfigMap", "impressions").data;
/** The settings that come from Secrets. */
const SECRETS = { NATS_PASSWORD: "p", SCYLLA_PASSWORD: "p", LOG_USER_ID_KEY: "k".repeat(32) };
const workloads = [
  { role: "api", workload: byName("Deployment", "impressions-api") },
  { role: "worker", workload: byName("Deployment", "impressions-worker") },
  { role: "migrate", workload: byName("Job", "impressions-migrate") },
];
const services = workloads.filter(({ role }) => role !== "migrate");

describe.each(workloads)("$role", ({ role, workload }) => {
  const pod = workload.spec.template.spec;
  const [container] = pod.containers;
  const environment = {
    ...shared,
    ...SECRETS,
    ...Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value])),
  };

  test("sets nothing but settings that exist, and can start with them", () => {
    const known = describeConfig(readConfig({})).map((line) => line.split("=")[0]);
    expect(known).toEqual(expect.arrayContaining(Object.keys(environment)));
    expect(readConfig(environment)).toMatchObject({ ENGINE: "cluster", AUTH: "jwt", ALLOW_INSECURE: false });
    expect(container.args).toEqual([role]);
    expect(container.image).toBe(`impressions:${packageJson.version}`);
    expect(container.envFrom).toEqual(
      expect.arrayContaining([
        { configMapRef: { name: "impressions" } },
        { secretRef: { name: "impressions" } },
      ]),
    );
  });

  test("finds the authorities where they are mounted", () => {
    const [{ mountPath } = { mountPath: "" }] = container.volumeMounts;
    for (const setting of ["NATS_TLS_CA", "SCYLLA_TLS_CA"] as const)
      expect(shared[setting]?.startsWith(`${mountPath}/`), setting).toBe(true);
  });

  test("runs with as little as it needs", () => {
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
    });
    expect(container).toMatchObject({
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      },
      resources: { requests: { memory: expect.any(String) }, limits: { memory: expect.any(String) } },
    });
  });
});

describe.each(services)("$role", ({ role, workload }) => {
  const pod = workload.spec.template.spec;
  const [container] = pod.containers;
  const config = readConfig({
    ...shared,
    ...SECRETS,
    ...Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value])),
  });

  test("has its probes and ports where the service listens", () => {
    expect(container.ports).toEqual([
      { name: "http", containerPort: config.PORT },
      { name: "metrics", containerPort: config.METRICS_PORT },
    ]);
    const { startupProbe, livenessProbe, readinessProbe } = container;
    expect([startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet)).toEqual([
      { path: "/healthz", port: "http" },
      { path: "/healthz", port: "http" },
      { path: "/readyz", port: "http" },
    ]);
  });

  test("is given longer to stop than it takes, and is taken out of service before it stops accepting", () => {
    const graceMs = (pod.terminationGracePeriodSeconds ?? 30) * 1_000;
    expect(graceMs).toBeGreaterThan(config.SHUTDOWN_DELAY_MS + config.SHUTDOWN_TIMEOUT_MS);
    const { periodSeconds, failureThreshold } = container.readinessProbe ?? expect.fail("no readiness probe");
    if (role === "api")
      expect(config.SHUTDOWN_DELAY_MS).toBeGreaterThan(periodSeconds * failureThreshold * 1_000);
  });

  test("its selector and its disruption budget mean its own pods", () => {
    const { labels } = workload.spec.template.metadata;
    expect(workload.spec.selector.matchLabels).toEqual(labels);
    expect(byName("PodDisruptionBudget", `impressions-${role}`).spec.selector.matchLabels).toEqual(labels);
    if (role === "api") expect(byName("Service", "impressions").spec.selector).toEqual(labels);
  });
});
