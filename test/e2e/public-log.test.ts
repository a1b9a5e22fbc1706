import { createTemporaryDirectory } from "../kit/directory.ts";
import { runCommand, type ServiceProcess, startServiceProcess } from "../kit/service-process.ts";
import { describePublicLog } from "../suites/public-log/suite.ts";

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
