import { afterAll } from "vitest";
import { storeContract } from "../../contract/store/index.ts";
import { daysOf, dropTestKeyspaces, openTestKeyspace } from "../../support/scylla.ts";

afterAll(dropTestKeyspaces);

storeContract({
  name: "scylla",
  async open({ retentionMs, ...more }) {
    const keyspace = await openTestKeyspace();
    const options = { retentionDays: daysOf(retentionMs), ...more };
    let opened = await keyspace.open(options);
    return {
      store: opened.store,
      async reopen(changed = {}) {
        await opened.close();
        const retentionDays = daysOf(changed.retentionMs ?? retentionMs);
        opened = await keyspace.open({ ...options, retentionDays });
        return opened.store;
      },
      dispose: () => keyspace.dispose(),
    };
  },
});
