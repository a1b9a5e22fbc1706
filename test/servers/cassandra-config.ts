import { join } from "node:path";
import { type Certificates, KEY_STORE_PASSWORD } from "./certificates.ts";

/** Options of a test's Cassandra beyond the defaults. */
export interface CassandraConfig {
  /** Clients must log in: as `cassandra` with password `cassandra`, until they make other roles. */
  auth?: boolean;
  /** Clients must use TLS and trust the handle's `caFile`. */
  tls?: boolean;
  /**
   * When a write is acknowledged. `periodic`, Cassandra's own default: before it is in the commit log for
   * good, so that SIGKILL may take the last 100 ms with it, which two other replicas make up for. `batch`:
   * once the log is synced.
   */
  commitlogSync?: "batch" | "periodic";
}

/** The data center of a test Cassandra: the one that SimpleSnitch knows, and Cassandra's usual name. */
export const LOCAL_DATA_CENTER = "datacenter1";

// The nodes differ in address and share their ports. From the usual 9042 for clients this gives the usual
// 7000.
const STORAGE_OFFSET = -2042;

/** The ports that each node takes, as offsets from the clients' port. */
export const CASSANDRA_PORT_OFFSETS = [0, STORAGE_OFFSET];

// Few, and the same everywhere: a start is faster and ranges stay few; replicas are as many as nodes anyway.
const TOKENS_PER_NODE = 4;

/** The addresses of a cluster of that many nodes. */
export function cassandraHosts(nodes: number): string[] {
  return Array.from({ length: nodes }, (_, index) => `127.0.0.${index + 1}`);
}

/** The cassandra.yaml of one node. JSON is a subset of YAML. */
export function cassandraConfigFile(options: {
  index: number;
  nodes: number;
  port: number;
  directory: string;
  config: CassandraConfig;
  certificates: Certificates | undefined;
}): string {
  const { index, nodes, port, directory, config, certificates } = options;
  const hosts = cassandraHosts(nodes);
  const seeds = hosts.map((host) => `${host}:${port + STORAGE_OFFSET}`).join(",");
  return JSON.stringify(
    {
      cluster_name: "impressions",
      partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
      endpoint_snitch: "SimpleSnitch",
      // Every node is a seed with tokens of its own: all start at the same time, and none waits for another's
      // data.
      seed_provider: [
        { class_name: "org.apache.cassandra.locator.SimpleSeedProvider", parameters: [{ seeds }] },
      ],
      auto_bootstrap: false,
      num_tokens: TOKENS_PER_NODE,
      initial_token: tokensOf(index, nodes).join(","),
      // Cassandra's own tables too (roles, above all) are on every node: one may die.
      default_keyspace_rf: nodes,
      listen_address: hosts[index],
      rpc_address: hosts[index],
      storage_port: port + STORAGE_OFFSET,
      native_transport_port: port,
      data_file_directories: [join(directory, "data")],
      commitlog_directory: join(directory, "commitlog"),
      saved_caches_directory: join(directory, "saved_caches"),
      hints_directory: join(directory, "hints"),
      cdc_raw_directory: join(directory, "cdc_raw"),
      ...(config.commitlogSync === "periodic"
        ? { commitlog_sync: "periodic", commitlog_sync_period: "10s" }
        : { commitlog_sync: "batch" }),
      // Tests drop and truncate many tables, which are never restored.
      auto_snapshot: false,
      ...(config.auth && {
        authenticator: { class_name: "org.apache.cassandra.auth.PasswordAuthenticator" },
        authorizer: { class_name: "org.apache.cassandra.auth.CassandraAuthorizer" },
        role_manager: { class_name: "org.apache.cassandra.auth.CassandraRoleManager" },
      }),
      ...(certificates && {
        client_encryption_options: {
          enabled: true,
          optional: false,
          keystore: certificates.keyStoreFile,
          keystore_password: KEY_STORE_PASSWORD,
          store_type: "PKCS12",
        },
      }),
    },
    null,
    2,
  );
}

/** Evenly over the whole ring of 64-bit tokens, the nodes taking turns. */
function tokensOf(index: number, nodes: number): bigint[] {
  const total = BigInt(nodes * TOKENS_PER_NODE);
  return Array.from({ length: TOKENS_PER_NODE }, (_, turn) => {
    const position = BigInt(turn * nodes + index);
    return -(2n ** 63n) + 1n + (position * 2n ** 64n) / total;
  });
}

/** Logs to standard output, which goes to the node's log file. */
export const LOGBACK_XML = `<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level [%thread] %date{ISO8601} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
</configuration>
`;

const MODULE_OPTIONS = {
  "--add-exports": [
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.attach/sun.tools.attach",
    "jdk.unsupported/sun.misc",
  ],
  "--add-opens": [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
  ],
};

/** The internals of a recent Java that Cassandra's programs use. */
export function moduleArguments(): string[] {
  return Object.entries(MODULE_OPTIONS).flatMap(([option, names]) =>
    names.map((name) => `${option}=${name}=ALL-UNNAMED`),
  );
}

/**
 * The arguments of `java` for one node: what Cassandra's own start script for Java 17 gives, and a quick
 * start.
 */
export function cassandraArguments(options: {
  /** Has cassandra.yaml and logback.xml. */
  configDirectory: string;
  /** Has Cassandra's jars. */
  jarDirectory: string;
  directory: string;
  heapMb: number;
  /** Come last, so they win. */
  jvmOptions: string[];
}): string[] {
  const { configDirectory, jarDirectory, directory, heapMb, jvmOptions } = options;
  return [
    ...moduleArguments(),
    "-Djdk.attach.allowAttachSelf=true",
    "-Dio.netty.tryReflectionSetAccessible=true",
    `-javaagent:${join(jarDirectory, "jamm-0.4.0.jar")}`,
    // A node starts on two cores in 3.3 s, and in 6.3 s with G1, which holds 0.9 GB more. The first compiler
    // alone saves a third of a start's processor time (3.6 s of 5.7 s), and is not behind yet in the work of
    // a short test.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xms256m",
    `-Xmx${heapMb}m`,
    "-ea",
    ...jvmOptions,
    ...["-classpath", `${configDirectory}:${join(jarDirectory, "*")}`],
    `-Dcassandra.config=file://${join(configDirectory, "cassandra.yaml")}`,
    `-Dcassandra.storagedir=${directory}`,
    `-Dcassandra.logdir=${directory}`,
    "-Dlogback.configurationFile=logback.xml",
    "-Dcassandra-foreground=yes",
    // No wait that is meant for large clusters: the readiness probe asks every node for every other one
    // instead. But not no delay at all: with 0 ms the nodes of a starting cluster took each other for dead
    // clients, and forgot them again.
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.ring_delay_ms=5000",
    // Without this Cassandra measures it at every start, which takes a second of processor time.
    "-Dcassandra.memtable.row_overhead_size=180",
    // The role `cassandra` is there soon, not after ten seconds. Also how often a cluster that is not whole
    // yet retries.
    "-Dcassandra.superuser_setup_delay_ms=200",
    "org.apache.cassandra.service.CassandraDaemon",
  ];
}
