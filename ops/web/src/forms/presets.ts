/** Inputs to begin with: a few that show what the built-in models understand, and what people keep in this browser. */
import { Store } from "../state/store.js";
import type { Draft } from "./draft.js";

export interface Preset {
  name: string;
  feature: string;
  adapter: string;
  values: Record<string, string | boolean>;
}

const KEY = "pocket3d.presets";

export const EXAMPLES: readonly Preset[] = [
  example("text_to_mesh", "a red chair with four legs"),
  example("text_to_mesh", "a round wooden table with a blue vase"),
  example("text_to_mesh", "a small blue airplane"),
  example("text_to_texture", "red brick"),
  example("text_to_texture", "polished green marble"),
  example("text_to_texture", "dark oak planks"),
];

function example(feature: string, text_prompt: string): Preset {
  return { name: text_prompt, feature, adapter: "", values: { text_prompt } };
}

export const presets = new Store<readonly Preset[]>(kept());

function kept(): Preset[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? (found as Preset[]).filter((each) => typeof each?.name === "string" && each.values) : [];
  } catch (error) {
    // Somebody else wrote there.
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

function keep(next: readonly Preset[]): void {
  presets.set(next);
  localStorage.setItem(KEY, JSON.stringify(next));
}

/** Keeps what was entered, without files, in place of a preset of that name for the feature. */
export function keepPreset(name: string, now: Draft): void {
  const values: Preset["values"] = {};
  for (const [key, value] of Object.entries(now.values)) if (!Array.isArray(value) && value !== "") values[key] = value;
  const others = presets.get().filter((each) => each.name !== name || each.feature !== now.feature);
  keep([...others, { name, feature: now.feature, adapter: now.adapter, values }]);
}

export function dropPreset(preset: Preset): void {
  keep(presets.get().filter((each) => each !== preset));
}
