import { storeModel } from "../contract/model.ts";
import { openTemporaryEngine } from "../support/embedded.ts";

storeModel({
  name: "embedded",
  async open(options) {
    const engine = await openTemporaryEngine(options);
    return {
      store: engine.current().store,
      reopen: async () => (await engine.reopen()).store,
      dispose: () => engine.dispose(),
    };
  },
});
