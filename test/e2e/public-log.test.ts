import { createTemporaryDirectory } from "../support/directory.ts";
import { describePublicLog } from "../support/public-log/suite.ts";
import { runCommand, type ServiceProcess, startServiceProcess } from "../support/service-process.ts";

describePublicLog({
  engine: "embedded",
  importsBesideService: false,
  async createInstallation() {
    const directory = createTemporaryDirectory();
    const environment = { DATA_DIR: directory.path };
    let service: ServiceProcess | undefined;
    return {
      async serve() {
        service = await startServiceProcess(environment);
        return service;
      },
      run: (...parameters) => runCommand(environment, ...parameters),
      async dispose() {
        await service?.kill("SIGKILL");
        directory.remove();
      },
    };
  },
});
