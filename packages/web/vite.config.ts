import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** Text is compressed once, here: the server keeps the files in memory, and nearly everybody takes them so. */
const compressed: Plugin = {
  name: "compressed",
  writeBundle({ dir }, bundle) {
    for (const name of Object.keys(bundle)) {
      const path = join(dir ?? "", name);
      if (!/\.(js|css|svg|html)$/.test(name)) continue;
      const text = readFileSync(path);
      if (text.length >= 1024) writeFileSync(`${path}.gz`, gzipSync(text, { level: 9 }));
    }
  },
};

/** Everything is a file of its own under /assets/: the page's policy allows nothing inline. */
export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "/",
  plugins: [react(), compressed],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2024",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // hls.js is one file of this size, and is loaded when a film may be opened.
    chunkSizeWarningLimit: 600,
    rolldownOptions: {
      // The page needs errors and limits of our packages, not the engine; that runs in the worker, built by itself.
      treeshake: {
        moduleSideEffects: (id: string) => !/\/packages\/(client|crypto|media|protocol)\/src\//.test(id),
      },
    },
  },
  worker: { format: "es" },
});
