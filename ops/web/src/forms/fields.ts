/** From an adapter's JSON schema to the fields of a form, and from what was entered to a job's inputs. */
import type { Feature, FeatureAdapter, FileInput, Schema } from "../api/types.js";

export type Kind = "text" | "number" | "integer" | "yes-no" | "choice" | "files" | "json";

export interface Field {
  key: string;
  kind: Kind;
  label: string;
  help: string;
  required: boolean;
  fallback: unknown;
  choices: (string | number | boolean | null)[];
  minimum: number | null;
  maximum: number | null;
  long: boolean;
  /** Of files: what they are. */
  accepts: "image" | "mesh" | "any";
}

/** A file that was chosen here, or one of another job's result. */
export type Source = { local: File } | { result: string; name: string };
export type Value = string | boolean | Source[];
export type Values = Readonly<Record<string, Value>>;

const LONG_TEXT = /prompt|text|description/;
export const MESH_ENDINGS = ["glb", "gltf", "obj", "ply", "stl", "off", "fbx"];
export const IMAGE_ENDINGS = ["png", "jpg", "jpeg", "webp"];

export function wordsOf(key: string): string {
  const words = key.replace(/_paths?$/, "").replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The schema of one adapter, or what all that can run have in common. */
export function schemaOf(feature: Feature, adapter: string): Schema | null {
  const able = feature.adapters.filter((each) => each.available);
  const asked = adapter ? feature.adapters.filter((each) => each.adapter_id === adapter) : able.length > 0 ? able : feature.adapters;
  const schemas = asked.map((each: FeatureAdapter) => each.parameters).filter((each) => each !== null);
  const [first, ...others] = schemas;
  if (!first) return null;
  const properties = Object.entries(first.properties ?? {}).filter(([key]) => others.every((each) => each.properties?.[key]));
  const required = [...new Set(schemas.flatMap((each) => each.required ?? []))];
  return { ...first, properties: Object.fromEntries(properties), required };
}

export function fieldsOf(feature: Feature, adapter: string): Field[] {
  const schema = schemaOf(feature, adapter);
  const properties: Record<string, Schema> = { ...schema?.properties };
  const groups = feature.required.map((each) => each.split("|"));
  for (const key of groups.flat()) properties[key] ??= key.includes("_path") ? {} : { type: "string" };
  const required = new Set([...(schema?.required ?? []), ...groups.filter((each) => each.length === 1).flat()]);
  const fields: Field[] = [];
  for (const [key, property] of Object.entries(properties)) {
    // `image_paths` is the list to `image_path`: one field gives either.
    if (key.endsWith("_paths") && `${key.slice(0, -1)}` in properties) continue;
    fields.push(fieldOf(key, property, required.has(key) || onlyFiles(key, groups)));
  }
  return fields.sort((a, b) => rank(a) - rank(b));
}

/** `image_path|image_paths` wants a file; `text_prompt|image_path|...` does not say which. */
function onlyFiles(key: string, groups: string[][]): boolean {
  return groups.some((each) => each.includes(key) && each.every((other) => singular(other) === singular(key)));
}

function singular(key: string): string {
  return key.endsWith("_paths") ? key.slice(0, -1) : key;
}

/** What is required first, files before words; what may be left alone last. */
function rank(field: Field): number {
  const optional = field.required || field.kind === "files" || field.long ? 0 : 10;
  return optional + (field.kind === "files" ? 0 : field.long ? 1 : 2);
}

function fieldOf(key: string, schema: Schema, required: boolean): Field {
  const types = ([] as string[]).concat(schema.type ?? []);
  let kind: Kind = "json";
  if (/_paths?$/.test(key)) kind = "files";
  else if (schema.enum) kind = "choice";
  else if (types.includes("boolean")) kind = "yes-no";
  else if (types.includes("integer")) kind = "integer";
  else if (types.includes("number")) kind = "number";
  else if (types.includes("string")) kind = "text";
  return {
    key,
    kind,
    label: wordsOf(key),
    help: schema.description ?? "",
    required,
    fallback: schema.default ?? null,
    choices: schema.enum ?? [],
    minimum: schema.minimum ?? null,
    maximum: schema.maximum ?? null,
    long: kind === "text" && LONG_TEXT.test(key),
    accepts: key.startsWith("mesh") ? "mesh" : key.startsWith("image") || key.startsWith("mask") ? "image" : "any",
  };
}

export class Invalid extends Error {
  constructor(
    readonly key: string,
    message: string,
  ) {
    super(message);
  }
}

/** A job's inputs; what was left empty is left out, so that the adapter's own default counts. Throws `Invalid`. */
export function inputsOf(fields: Field[], values: Values, file: (source: Source) => FileInput): Record<string, unknown> {
  const inputs: Record<string, unknown> = {};
  for (const field of fields) {
    const value = values[field.key];
    if (field.kind === "files") {
      const sources = Array.isArray(value) ? value : [];
      if (sources.length === 1) inputs[field.key] = field.key.endsWith("_paths") ? sources.map(file) : file(sources[0]!);
      else if (sources.length > 1) inputs[field.key.endsWith("_paths") ? field.key : `${field.key}s`] = sources.map(file);
      else if (field.required) throw new Invalid(field.key, `${field.label}: choose a file`);
      continue;
    }
    const given = entered(field, value);
    if (given !== undefined) inputs[field.key] = given;
    else if (field.required) throw new Invalid(field.key, `${field.label} is needed`);
  }
  return inputs;
}

function entered(field: Field, value: Value | undefined): unknown {
  if (field.kind === "yes-no") return value === undefined || value === field.fallback ? undefined : value === true;
  if (typeof value !== "string" || value.trim() === "") return undefined;
  if (field.kind === "text") return value;
  if (field.kind === "choice") return field.choices.find((each) => String(each) === value);
  if (field.kind === "json") return parsed(field, value);
  const number = Number(value);
  if (!Number.isFinite(number)) throw new Invalid(field.key, `${field.label}: ${value} is no number`);
  if (field.kind === "integer" && !Number.isInteger(number)) throw new Invalid(field.key, `${field.label}: want a whole number`);
  if (field.minimum !== null && number < field.minimum) throw new Invalid(field.key, `${field.label}: at least ${field.minimum}`);
  if (field.maximum !== null && number > field.maximum) throw new Invalid(field.key, `${field.label}: at most ${field.maximum}`);
  return number;
}

function parsed(field: Field, value: string): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) throw new Invalid(field.key, `${field.label}: want JSON, such as 3, "text" or [1, 2]`);
    throw error;
  }
}

/** What a dropped file is, by its ending. */
export function kindOfFile(name: string): "image" | "mesh" | "other" {
  const ending = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  if (IMAGE_ENDINGS.includes(ending)) return "image";
  return MESH_ENDINGS.includes(ending) ? "mesh" : "other";
}

/** The field that takes such a file, of the chosen feature if it has one, else the first feature that fits. */
export function placeFor(kind: "image" | "mesh", features: Feature[], current: string): { feature: string; key: string } | null {
  const likely = kind === "image" ? ["image_to_mesh", "image_to_splat"] : ["text_to_texture", "mesh_conversion"];
  const names = [current, ...likely, ...features.map((each) => each.feature)];
  for (const name of names) {
    const feature = features.find((each) => each.feature === name && each.adapters.length > 0);
    const field = feature && fieldsOf(feature, "").find((each) => each.kind === "files" && each.accepts === kind);
    if (feature && field) return { feature: feature.feature, key: field.key };
  }
  return null;
}
