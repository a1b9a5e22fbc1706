// Prints what the client costs an app, minified and compressed, and fails where an entry point is over the limit that its
// README promises. Each entry point is measured whole, with everything that it exports: an app's bundler takes less.
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

/** Under 8 kB: client/README.md. */
const GZIP_BYTES_MAX = 8_000;
const ENTRIES = ["browser", "react-native", "index"];

const source = join(import.meta.dirname, "../client/src");
for (const entry of ENTRIES) {
  const { output } = [
    await build({
      configFile: false,
      logLevel: "error",
      build: {
        write: false,
        minify: true,
        target: "es2022",
        lib: { entry: join(source, `${entry}.ts`), formats: ["es"] },
        rollupOptions: { output: { minify: true } },
      },
    }),
  ].flat()[0];
  const code = output.map((chunk) => chunk.code ?? "").join("");
  const gzipBytes = gzipSync(code, { level: 9 }).length;
  const over = gzipBytes > GZIP_BYTES_MAX;
  console.log(
    `@impressions/client/${entry}: ${code.length} bytes minified, ${gzipBytes} with gzip (at most ${GZIP_BYTES_MAX})`,
  );
  if (over || code.length === 0) process.exitCode = 1;
}
