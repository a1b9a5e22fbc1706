import type { StoreContract } from "../contract/store/fixture.ts";
import { openTemporaryEngine } from "../kit/embedded.ts";

/** The store of the embedded engine, for the suites of the port. */
export const EMBEDDED_STORE: StoreContract = {
  name: "embedded",
  async open(options) {
    const engine = await openTemporaryEngine(options);
    return {
      store: engine.current().store,
      reopen: async (changed) => (await engine.reopen(changed)).store,
      dispose: () => engine.dispose(),
    };
  },
};
