import { Client } from "cassandra-driver";
import { connect, type NatsConnection } from "nats";
import { onTestFinished } from "vitest";
import type { CassandraServers } from "./cassandra.ts";
import type { NatsServers } from "./nats.ts";

/** A client that goes away with the test. */
export async function natsClient(
  servers: string[],
  options: Partial<NatsServers["connection"]> = {},
): Promise<NatsConnection> {
  const client = await connect({ servers, ...options, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  onTestFinished(() => client.close());
  return client;
}

/** A connected client that goes away with the test. */
export async function cassandraClient(cassandra: Pick<CassandraServers, "clientOptions">): Promise<Client> {
  const client = new Client(cassandra.clientOptions);
  onTestFinished(() => client.shutdown());
  await client.connect();
  return client;
}
