// Prints what the client costs an app, minified and compressed, and fails where an entry point is over the limit that its
// README promises. Each entry point is measured whole, with everything that it exports: an app's bundler takes less.
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

/**
 * Under 10 kB: client/README.md. It was 8 until the SDK had to date views by itself (a server cannot tell a clock that is
 * behind from a slow delivery), to survive storages that hang, and to forget on demand.
 */
const GZIP_BYTES_MAX = 10_000;
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
