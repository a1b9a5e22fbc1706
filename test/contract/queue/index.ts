import { describe } from "vitest";
import { attempts } from "./attempts.ts";
import { deadLetters } from "./dead-letters.ts";
import type { QueueContract } from "./fixture.ts";
import { leases } from "./leases.ts";
import { lifecycle } from "./lifecycle.ts";
import { publish } from "./publish.ts";
import { pull } from "./pull.ts";
import { settle } from "./settle.ts";
import { stats } from "./stats.ts";

export type { QueueContract } from "./fixture.ts";

/** Everything that ports/impression-queue, ports/dead-letters and ports/attempts promise, for any adapter. */
export function queueContract(contract: QueueContract): void {
  describe(`${contract.name}: ImpressionQueue`, () => {
    lifecycle(contract);
    publish(contract);
    pull(contract);
    settle(contract);
    leases(contract);
    deadLetters(contract);
    attempts(contract);
    stats(contract);
  });
}
