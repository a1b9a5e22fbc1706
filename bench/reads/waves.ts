import { Client, type QueryOptions, type types } from "cassandra-driver";

/** A statement as our store sent it. */
export interface Statement {
  readonly cql: string;
  readonly parameters: readonly unknown[];
  readonly options: QueryOptions;
}

/** Statements that were on their way together, then those that waited for one of them, and so on. */
export type Waves = readonly (readonly Statement[])[];

/** Runs `ask` and gives the statements that this process sent for it, with what waited for what. */
export async function statementsOf(ask: () => Promise<unknown>): Promise<Waves> {
  const waves: Statement[][] = [];
  let isAnswered = true;
  const send = Client.prototype.execute as (...sent: unknown[]) => Promise<types.ResultSet>;
  Client.prototype.execute = function (this: Client, ...sent: unknown[]) {
    const [cql, parameters, options] = sent as [string, readonly unknown[], QueryOptions];
    if (isAnswered) waves.push([]);
    isAnswered = false;
    waves.at(-1)?.push({ cql, parameters, options });
    const answer = send.apply(this, sent);
    answer.finally(() => {
      isAnswered = true;
    });
    return answer as never;
  } as typeof Client.prototype.execute;
  try {
    await ask();
  } finally {
    Client.prototype.execute = send as typeof Client.prototype.execute;
  }
  return waves;
}

/** Sends them again with the bare driver: as one would write it by hand for this one question. */
export async function replay(client: Client, waves: Waves): Promise<number> {
  let rows = 0;
  for (const wave of waves) {
    const answers = await Promise.all(
      wave.map(({ cql, parameters, options }) => client.execute(cql, [...parameters], options)),
    );
    for (const answer of answers) rows += answer.rows.length;
  }
  return rows;
}
