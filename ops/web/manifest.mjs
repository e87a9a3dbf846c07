// manifest.json beside the built page: the SHA-256 of its sources and of each built file.
//   node manifest.mjs --write   writes it          node manifest.mjs   says whether it is up to date (exit code 1 if not)
// tests/web/test_built_page.py computes the same in Python.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const page = join(here, "../pocket3d/ops/gateway/page");
/** All that decides what is built. */
const SOURCES = [
  "build.mjs", "index.html", "manifest.mjs", "package.json", "package-lock.json", "public", "src", "tsconfig.json", "vite.config.ts",
  "vite.viewer.config.ts",
];

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const byName = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function filesOf(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesOf(join(path, name)));
}

function digests(paths, root) {
  const named = paths.flatMap(filesOf).map((path) => [relative(root, path).split(sep).join("/"), sha256(readFileSync(path))]);
  return named.sort((a, b) => byName(a[0], b[0]));
}

const sources = digests(SOURCES.map((name) => join(here, name)), here);
const manifest = {
  sources_sha256: sha256(sources.map(([name, digest]) => `${digest}  ${name}\n`).join("")),
  files: Object.fromEntries(digests([page], page).filter(([name]) => name !== "manifest.json")),
};
const text = `${JSON.stringify(manifest, null, 2)}\n`;
const path = join(page, "manifest.json");
if (process.argv.includes("--write")) {
  writeFileSync(path, text);
} else if (readFileSync(path, "utf8") !== text) {
  console.error("the built page is not that of these sources: run `make web`");
  process.exit(1);
}
