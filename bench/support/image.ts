import { readFileSync } from "node:fs";
import { join } from "node:path";

const DOCKERFILE = join(import.meta.dirname, "../../deploy/Dockerfile");

/** The options of Node that the image sets: what runs long is measured with them. */
export const NODE_OPTIONS_OF_THE_IMAGE = readNodeOptions();

function readNodeOptions(): string {
  const [, options] = /NODE_OPTIONS="?([^"\\\n]+?)"?\s*\\?\n/.exec(readFileSync(DOCKERFILE, "utf8")) ?? [];
  if (options === undefined) throw new Error(`${DOCKERFILE} sets no NODE_OPTIONS`);
  return options;
}
