/**
 * The arrows of docs/architecture.md, held by `npm run check:imports`:
 *
 *   common <- everything; domain <- ports <- (ingest, workers, admin, transfer) <- resolvers <- server <- cli
 *   domain <- access <- server
 *   adapters (embedded, jetstream, scylla) -> ports, domain, telemetry
 *   only app/ (in engines/) imports adapters
 */

/** @param {string} name @param {string} from @param {string[]} allowed @param {string} comment */
const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: "error",
  from: { path: `^src/${from}/` },
  to: {
    path: "^src/",
    pathNot: [`^src/${from}/`, "^src/common/", ...allowed.map((folder) => `^src/${folder}`)],
  },
});

export default {
  forbidden: [
    only("common-stands-alone", "common", [], "common/ imports nothing of ours"),
    only("domain-is-pure", "domain", [], "domain/ imports nothing of ours"),
    only("ports-know-only-domain", "ports", ["domain/"], "a port speaks in domain types"),
    only("ingest-above-ports", "ingest", ["domain/", "ports/"], "ingest/ reaches engines through ports"),
    only(
      "admin-above-ports",
      "admin",
      ["domain/", "ports/", "telemetry/"],
      "admin/ reaches engines through ports",
    ),
    only(
      "access-knows-only-domain",
      "access",
      ["domain/", "telemetry/", "errors.ts"],
      "who sent a request is decided without the rest",
    ),
    only(
      "transfer-above-ports",
      "transfer",
      ["domain/", "ports/", "ingest/"],
      "import and export reach engines through ports",
    ),
    only(
      "workers-above-ports",
      "workers",
      ["domain/", "ports/", "telemetry/"],
      "workers/ reaches engines through ports",
    ),
    only(
      "resolvers-above-ports",
      "resolvers",
      ["domain/", "ports/", "ingest/", "admin/", "errors.ts"],
      "resolvers/ reaches engines through ports",
    ),
    only(
      "server-serves-resolvers",
      "server",
      ["access/", "domain/", "ports/", "resolvers/", "telemetry/", "errors.ts"],
      "server/ is HTTP around resolvers/",
    ),
    only(
      "metrics-show-what-others-count",
      "metrics",
      ["domain/", "ports/", "ingest/", "workers/", "server/request-observer.ts", "errors.ts"],
      "metrics/ reads what the parts tell; none of them knows it",
    ),
    {
      name: "only-the-service-knows-metrics",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(app/|metrics/)" },
      to: { path: "^src/metrics/" },
    },
    {
      name: "prom-client-stays-in-metrics",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/metrics/" },
      to: { path: "node_modules/prom-client/" },
    },
    ...["embedded", "jetstream", "scylla"].map((adapter) =>
      only(
        `${adapter}-implements-ports`,
        adapter,
        ["domain/", "ports/", "telemetry/"],
        "an adapter sees ports and domain, and logs",
      ),
    ),
    {
      name: "only-the-composition-root-names-adapters",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(app/engines/|embedded/|jetstream/|scylla/)" },
      to: { path: "^src/(embedded|jetstream|scylla)/" },
    },
    {
      name: "only-the-composition-root-names-engines",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/app/" },
      to: { path: "^src/app/engines/" },
    },
    {
      name: "nats-stays-in-jetstream",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/jetstream/" },
      to: { path: "node_modules/nats/" },
    },
    {
      name: "cassandra-stays-in-scylla",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/scylla/" },
      to: { path: "node_modules/cassandra-driver/" },
    },
    {
      name: "domain-does-no-io",
      severity: "error",
      from: { path: "^src/domain/" },
      to: {
        path: "^node:|^fs$|^net$|^http$|^worker_threads$",
        pathNot: "^(node:)?crypto$",
        dependencyTypes: ["core"],
      },
    },
    {
      name: "the-client-is-a-package-of-its-own",
      comment: "what runs on a phone has no dependency",
      severity: "error",
      from: { path: "^client/src/" },
      to: { pathNot: "^client/src/", dependencyTypesNot: ["core"] },
    },
    {
      name: "node-stays-in-its-entry-point",
      severity: "error",
      from: { path: "^client/src/", pathNot: "^client/src/node\\.ts$" },
      to: { dependencyTypes: ["core"] },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    { name: "no-orphans", severity: "error", from: { orphan: true, pathNot: "\\.d\\.ts$" }, to: {} },
  ],
  options: {
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      extensions: [".ts", ".js"],
      exportsFields: ["exports"],
      conditionNames: ["node", "import"],
    },
  },
};
