import { execFile } from "node:child_process";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { promisify } from "node:util";

export interface Installed {
  /** The dependencies in package.json: docs/dependencies.md has the reason for each. */
  readonly direct: number;
  /** With what those need themselves. */
  readonly packages: number;
  readonly bytes: number;
}

/** The production dependencies, measured in the present node_modules. */
export async function measureInstalled(root: string): Promise<Installed> {
  const { stdout } = await promisify(execFile)("npm", ["ls", "--omit=dev", "--all", "--parseable"], {
    cwd: root,
  });
  const directories = new Set(stdout.split("\n").filter((path) => path.includes(`${sep}node_modules${sep}`)));
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  return {
    direct: Object.keys(dependencies).length,
    packages: directories.size,
    bytes: [...directories].reduce((sum, directory) => sum + bytesOf(directory), 0),
  };
}

/** Packages inside a package are counted by themselves. */
function bytesOf(directory: string): number {
  return readdirSync(directory, { withFileTypes: true }).reduce((sum, entry) => {
    if (entry.isDirectory())
      return entry.name === "node_modules" ? sum : sum + bytesOf(join(directory, entry.name));
    return sum + lstatSync(join(directory, entry.name)).size;
  }, 0);
}
