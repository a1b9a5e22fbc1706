import { afterAll } from "vitest";
import { storeContract } from "../contract/store/index.ts";
import { daysOf, dropTestKeyspaces, openTestKeyspace } from "../support/scylla.ts";

afterAll(dropTestKeyspaces);

storeContract({
  name: "scylla",
  async open({ retentionMs }) {
    const keyspace = await openTestKeyspace();
    const retentionDays = daysOf(retentionMs);
    let opened = await keyspace.open({ retentionDays });
    return {
      store: opened.store,
      async reopen() {
        await opened.close();
        opened = await keyspace.open({ retentionDays });
        return opened.store;
      },
      dispose: () => keyspace.dispose(),
    };
  },
});
