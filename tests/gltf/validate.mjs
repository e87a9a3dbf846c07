// Checks GLB files with Khronos' glTF validator: node validate.mjs FOLDER_OF_NODE_MODULES FILE...
// One line of JSON per file; exit code 1 if any has errors.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [modules, ...files] = process.argv.slice(2);
const validator = createRequire(join(resolve(modules), "index.js"))("gltf-validator");

async function issues(file) {
  try {
    const report = await validator.validateBytes(new Uint8Array(readFileSync(file)), { uri: file, maxIssues: 20 });
    return report.issues;
  } catch (error) {
    // It throws at what is no glTF at all.
    return { numErrors: 1, numWarnings: 0, messages: [{ severity: 0, code: "NO_GLTF", pointer: "", message: `${error}` }] };
  }
}

let failed = false;
for (const file of files) {
  const { numErrors, numWarnings, messages } = await issues(file);
  failed ||= numErrors > 0;
  const worst = messages.filter((m) => m.severity <= 1).map((m) => `${m.code} at ${m.pointer}: ${m.message}`);
  console.log(JSON.stringify({ file, errors: numErrors, warnings: numWarnings, messages: worst.slice(0, 8) }));
}
process.exit(failed ? 1 : 0);
