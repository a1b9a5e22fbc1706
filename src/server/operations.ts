import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** schema/operations of the package: this file is two folders below its root, in src/ and in dist/ alike. */
const OPERATIONS_DIRECTORY = join(import.meta.dirname, "../../schema/operations");
/** Who the operations are for, in the order in which the playground shows them. */
const AUDIENCES = ["app", "recommender", "debugger"];
/** Stands for the present in example variables. */
export const NOW_PLACEHOLDER = "{{now}}";

/** One documented operation with example variables. */
export interface DocumentedOperation {
  readonly name: string;
  readonly query: string;
  /** JSON text; NOW_PLACEHOLDER stands where an instant of now belongs. */
  readonly variables: string;
}

/** The operations of `schema/operations/<audience>.<Name>.graphql`, each with the `.json` beside it. */
export async function readOperations(): Promise<DocumentedOperation[]> {
  const files = (await readdir(OPERATIONS_DIRECTORY)).filter((file) => file.endsWith(".graphql"));
  files.sort((a, b) => audienceRank(a) - audienceRank(b) || (a < b ? -1 : 1));
  return Promise.all(
    files.map(async (file) => {
      const path = join(OPERATIONS_DIRECTORY, file);
      const [query, variables] = await Promise.all([
        readFile(path, "utf8"),
        readFile(path.replace(/\.graphql$/, ".json"), "utf8"),
      ]);
      return { name: file.split(".")[1] ?? file, query, variables };
    }),
  );
}

function audienceRank(file: string): number {
  return AUDIENCES.indexOf(file.split(".", 1)[0] ?? "");
}
