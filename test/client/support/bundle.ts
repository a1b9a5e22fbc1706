import { build, type Rolldown } from "vite";

/** An entry of a web app, and all that it imports, as one script. */
export async function bundle(entry: string, root: string): Promise<string> {
  const result = await build({
    root,
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      target: "es2022",
      lib: { entry, formats: ["iife"], name: "app", fileName: "app" },
    },
  });
  const [output] = [result].flat() as Rolldown.RolldownOutput[];
  const chunks = output?.output.flatMap((part) => (part.type === "chunk" ? [part.code] : [])) ?? [];
  if (chunks.length !== 1) throw new Error(`one script was expected, not ${chunks.length}`);
  return chunks.join("");
}
