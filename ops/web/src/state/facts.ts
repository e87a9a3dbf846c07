/** What a person should know of a result: what was made, what was ignored of the request, what the format lost. */
import type { Artifact, Result } from "../api/types.js";
import { canRead } from "./readable.js";

const REMARKS: Record<string, string> = {
  ignored: "ignored",
  ignored_words: "ignored",
  lost: "lost",
  limbs_left_out: "left out",
  warnings: "note",
  notes: "note",
  remarks: "note",
};
const MANY = 12;

/** The `..._info` of the outputs, whatever the feature calls it. An adapter may write anything there. */
function info(result: Result): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(result.outputs ?? {})) {
    if (key.endsWith("_info") && isObject(value)) Object.assign(found, value);
  }
  return found;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function remarksOf(result: Result): string[] {
  const facts = { ...result.outputs, ...info(result) };
  const lines: string[] = [];
  for (const [key, word] of Object.entries(REMARKS)) {
    const value: unknown = facts[key];
    const texts = Array.isArray(value) ? value.filter((each) => typeof each === "string" && each) : typeof value === "string" && value ? [value] : [];
    for (const text of texts.slice(0, MANY)) lines.push(`${word}: ${text as string}`);
    if (typeof value === "number" && value > 0) lines.push(`${word}: ${value}`);
  }
  return [...new Set(lines)];
}

/** Names and values to list: numbers, words and yes or no, those of nested objects too. */
export function factsOf(result: Result): [string, string][] {
  const lines: [string, string][] = [];
  const tell = (facts: Record<string, unknown>, before: string) => {
    for (const [key, value] of Object.entries(facts)) {
      const name = `${before}${key.replace(/_/g, " ")}`;
      if (key in REMARKS || key.endsWith("_path")) continue;
      if (typeof value === "number") lines.push([name, Number.isInteger(value) ? value.toLocaleString("en-US") : value.toPrecision(4)]);
      else if (typeof value === "boolean") lines.push([name, value ? "yes" : "no"]);
      else if (typeof value === "string" && value.length <= 200) lines.push([name, value]);
      else if (Array.isArray(value) && value.length > 0 && value.length <= 8 && value.every((each) => typeof each !== "object")) {
        lines.push([name, value.join(", ")]);
      } else if (isObject(value) && before === "") tell(value, `${name} `);
    }
  };
  tell(info(result), "");
  return lines;
}

/** The file to show: the one that the outputs name, else the first that can be shown. */
export function mainArtifact(result: Result): Artifact | null {
  const outputs = result.outputs ?? {};
  for (const key of ["output_mesh_path", "output_splat_path"]) {
    const named = result.artifacts.find((each) => each.name === outputs[key]);
    if (named) return named;
  }
  return result.artifacts.find((each) => canRead(each.name)) ?? null;
}

export function thumbnailOf(result: Result): Artifact | null {
  const pictures = result.artifacts.filter((each) => each.media_type.startsWith("image/"));
  return pictures.find((each) => each.name.includes("thumbnail")) ?? pictures[0] ?? null;
}

export function bytesInWords(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function secondsInWords(seconds: number): string {
  if (seconds === 0) return "0 s";
  if (seconds < 10 && !Number.isInteger(seconds)) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
