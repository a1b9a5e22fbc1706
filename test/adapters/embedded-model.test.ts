import { storeModel } from "../contract/model.ts";
import { openTemporaryEngine } from "../kit/embedded.ts";

storeModel({
  name: "embedded",
  async open(options) {
    const engine = await openTemporaryEngine(options);
    return {
      store: engine.current().store,
      reopen: async (changed) => (await engine.reopen(changed)).store,
      dispose: () => engine.dispose(),
    };
  },
});
