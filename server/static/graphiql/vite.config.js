import { defineConfig } from "vite";

export default defineConfig({
  base: "/graphiql/",
  // The workers import each other's chunks, which only the ES format can.
  worker: { format: "es" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 5000,
    modulePreload: { polyfill: false },
    sourcemap: false,
    license: { fileName: "assets/licenses.md" },
  },
});
