import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Everything is a file of its own under /assets/: the page's policy allows nothing inline. */
export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "/",
  plugins: [react()],
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
