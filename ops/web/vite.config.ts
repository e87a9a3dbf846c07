// The page. viewer.js is built before it (vite.viewer.config.ts).
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { defineConfig } from "vite";

const out = "../pocket3d/ops/gateway/page";
const viewer = new URL(`${out}/viewer.js`, import.meta.url);
const digest = existsSync(viewer) ? createHash("sha256").update(readFileSync(viewer)).digest("hex").slice(0, 12) : "none";
const gateway = process.env["GATEWAY"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "./",
  define: { __VIEWER__: JSON.stringify(digest) },
  // emptyOutDir is the build script's task: viewer.js is there already.
  build: { outDir: out, emptyOutDir: false, target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  server: { proxy: { "/v1": gateway, "/health": gateway } },
});
