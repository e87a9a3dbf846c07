// Builds the page into the package: viewer.js, the page, the licences of what is inside, and manifest.json last.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const page = fileURLToPath(new URL("../pocket3d/ops/gateway/page/", import.meta.url));
process.chdir(here);
rmSync(page, { recursive: true, force: true });
await build({ configFile: "vite.viewer.config.ts" });
await build({ configFile: "vite.config.ts" });

const licences = ["preact", "three"].map((name) => {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  return `${name} ${version}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n`;
});
writeFileSync(`${page}LICENSES.txt`, licences.join(`\n${"-".repeat(80)}\n\n`));
