import { messageOf } from "./wait.ts";

/** A way to come by a server's software. */
export interface Way<Software> {
  name: "docker" | "toolchain";
  /** Makes the software ready to run, or rejects with the reason why this way is not to be had. */
  open: () => Promise<Software>;
}

/**
 * The first way that can be had, in the order given. `TEST_SERVERS_FROM` (docker or toolchain) leaves only
 * that one.
 * @throws with every way's reason and what to install, if there is none: a test run without its servers must
 * fail.
 */
export async function firstWay<Software>(what: string, ways: Way<Software>[]): Promise<Software> {
  const only = process.env.TEST_SERVERS_FROM;
  const reasons: string[] = [];
  for (const way of ways) {
    if (only !== undefined && way.name !== only) {
      reasons.push(`${way.name}: not asked for, TEST_SERVERS_FROM is "${only}"`);
      continue;
    }
    try {
      return await way.open();
    } catch (error) {
      reasons.push(`${way.name}: ${messageOf(error)}`);
    }
  }
  throw new Error(
    `No way to run ${what} here.\n${reasons.map((reason) => `  - ${reason}`).join("\n")}\n${REMEDY}`,
  );
}

const REMEDY = `Do one of these:
  - give the addresses of running servers: TEST_NATS_SERVERS=127.0.0.1:4222 and
    TEST_SCYLLA_CONTACT_POINTS=127.0.0.1:9042 with TEST_SCYLLA_LOCAL_DC=datacenter1
  - start Docker
  - install Go 1.26 for NATS (any from 1.21 on fetches that itself), Java 17 and Maven 3 for Cassandra;
    on Debian or Ubuntu: apt-get install golang-go openjdk-17-jre-headless maven`;
