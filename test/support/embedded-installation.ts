import { createTemporaryDirectory } from "../kit/directory.ts";
import { runCommand, type ServiceProcess, startServiceProcess } from "../kit/service-process.ts";

/** An installation of the embedded engine with files of its own, and the services that ran on them. */
export interface EmbeddedInstallation {
  readonly dataDir: string;
  /** For processes that the test starts itself. */
  readonly environment: Readonly<Record<string, string>>;
  start(more?: Readonly<Record<string, string>>): Promise<ServiceProcess>;
  run(...parameters: readonly string[]): ReturnType<typeof runCommand>;
  /** Kills what still runs and removes the files. */
  dispose(): Promise<void>;
}

export function createEmbeddedInstallation(
  settings: Readonly<Record<string, string>> = {},
): EmbeddedInstallation {
  const directory = createTemporaryDirectory();
  const environment = { DATA_DIR: directory.path, ...settings };
  const services: ServiceProcess[] = [];
  return {
    dataDir: directory.path,
    environment,
    async start(more = {}) {
      const service = await startServiceProcess({ ...environment, ...more });
      services.push(service);
      return service;
    },
    run: (...parameters) => runCommand(environment, ...parameters),
    async dispose() {
      await Promise.all(services.map((service) => service.kill("SIGKILL")));
      directory.remove();
    },
  };
}
