// Preloaded into a service by a test (node --import): SIGUSR2 makes a writer's thread throw an uncaught error, as a
// bug in it would.

import { syncBuiltinESMExports } from "node:module";
import workerThreads, { Worker } from "node:worker_threads";

workerThreads.Worker = class extends Worker {
  constructor(...given) {
    super(...given);
    process.once("SIGUSR2", () => this.postMessage({ kind: "batch" }));
  }
};
syncBuiltinESMExports();
