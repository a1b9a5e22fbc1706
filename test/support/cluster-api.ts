import { type Api, type ApiOptions, startApi } from "./api.ts";
import { openSharedInstallation } from "./shared-installation.ts";

export interface ClusterApi {
  readonly api: Api;
  /** Starts another API on the same queue and keyspace; stopped with this one. */
  startAnother(options: ApiOptions): Promise<Api>;
  stop(): Promise<void>;
}

/** The API in this process over the cluster engine on the run's NATS and Cassandra, with names of its own. */
export async function startClusterApi(options: ApiOptions = {}): Promise<ClusterApi> {
  const installation = await openSharedInstallation();
  const apis: Api[] = [];
  async function start({ environment, ...more }: ApiOptions): Promise<Api> {
    const api = await startApi({ ...more, environment: { ...installation.environment, ...environment } });
    apis.push(api);
    return api;
  }
  return {
    api: await start(options),
    startAnother: start,
    async stop() {
      await Promise.all(apis.map((api) => api.stop()));
      await installation.dispose();
    },
  };
}
