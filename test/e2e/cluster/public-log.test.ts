import { runCommand } from "../../kit/service-process.ts";
import { describePublicLog } from "../../suites/public-log/suite.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

describePublicLog({
  engine: "cluster",
  importsBesideService: true,
  async createInstallation() {
    const installation = await openSharedInstallation();
    return {
      // The least there is: most posts go on in finer slices in the middle of the log, so that walks have to merge them.
      serve: () => installation.start("serve", { SLICE_ROWS_MAX: "100" }),
      run: (...parameters) => runCommand(installation.environment, ...parameters),
      dispose: installation.dispose,
    };
  },
});
