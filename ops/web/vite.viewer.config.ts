// The viewer as one classic script without a hash in its name: the page and `pocket3d view` share it.
import { defineConfig } from "vite";

export default defineConfig({
  publicDir: false,
  build: {
    outDir: "../pocket3d/ops/gateway/page",
    emptyOutDir: false,
    target: "es2022",
    lib: { entry: "src/viewer/index.ts", formats: ["iife"], name: "pocket3dViewerScript", fileName: () => "viewer.js" },
  },
});
