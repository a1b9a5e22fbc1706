import { describe } from "vitest";
import { abort } from "./abort.ts";
import { erase } from "./erase.ts";
import type { StoreContract } from "./fixture.ts";
import { lifecycle } from "./lifecycle.ts";
import { postViewers } from "./post-viewers.ts";
import { scan } from "./scan.ts";
import { seenAmong } from "./seen-among.ts";
import { seenPosts } from "./seen-posts.ts";
import { write } from "./write.ts";

export type { StoreContract } from "./fixture.ts";

/** Everything that ports/impression-store promises, for any adapter. */
export function storeContract(contract: StoreContract): void {
  describe(`${contract.name}: ImpressionStore`, () => {
    lifecycle(contract);
    write(contract);
    seenPosts(contract);
    postViewers(contract);
    seenAmong(contract);
    scan(contract);
    erase(contract);
    abort(contract);
  });
}
