import { describePublicLog } from "../suites/public-log/suite.ts";
import { createEmbeddedInstallation } from "../support/embedded-installation.ts";

describePublicLog({
  engine: "embedded",
  importsBesideService: false,
  async createInstallation() {
    const { start, run, dispose } = createEmbeddedInstallation();
    return { serve: () => start(), run, dispose };
  },
});
