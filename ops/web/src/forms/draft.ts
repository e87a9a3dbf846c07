/** What is being entered in Make; it outlasts a look at another view. */
import * as gateway from "../api/gateway.js";
import type { FileInput, JobRequest, Status } from "../api/types.js";
import { Store } from "../state/store.js";
import { inputsOf, type Field, type Source, type Value, type Values } from "./fields.js";

export interface Draft {
  feature: string;
  /** "" for any that fits. */
  adapter: string;
  variant: string;
  commercialOnly: boolean;
  priority: string;
  values: Values;
}

export const draft = new Store<Draft>({
  feature: "",
  adapter: "",
  variant: "",
  commercialOnly: false,
  priority: "normal",
  values: {},
});

export function enter(key: string, value: Value): void {
  draft.update((now) => ({ ...now, values: { ...now.values, [key]: value } }));
}

/** What was entered for each feature that is not shown now. */
const entered = new Map<string, Values>();

/** Another feature gets the files that were chosen, and else what was entered for it before. */
export function chooseFeature(feature: string): void {
  draft.update((now) => {
    if (now.feature === feature) return now;
    entered.set(now.feature, now.values);
    const files = Object.entries(now.values).filter(([, value]) => Array.isArray(value));
    return { ...now, feature, adapter: "", variant: "", values: { ...entered.get(feature), ...Object.fromEntries(files) } };
  });
}

/** A file is sent once, however often its job is. */
const sent = new WeakMap<File, Promise<gateway.Uploaded>>();

function uploaded(file: File): Promise<gateway.Uploaded> {
  let upload = sent.get(file);
  if (!upload) {
    upload = gateway.upload(file);
    sent.set(file, upload);
    upload.catch(() => sent.delete(file));
  }
  return upload;
}

/** Sends the files that are not there yet, then the job. Throws `Invalid` and `ApiError`. */
export async function submitDraft(now: Draft, fields: Field[], said: (words: string) => void): Promise<Status> {
  const names = new Map<File, FileInput>();
  const shape = (source: Source): FileInput => {
    if ("result" in source) return source;
    return names.get(source.local) ?? { artifact: "", filename: source.local.name };
  };
  // Judged before anything is sent.
  inputsOf(fields, now.values, shape);
  for (const field of fields.filter((each) => each.kind === "files")) {
    const sources = now.values[field.key];
    for (const source of Array.isArray(sources) ? sources : []) {
      if (!("local" in source)) continue;
      said(`sending ${source.local.name} ...`);
      const { artifact } = await uploaded(source.local);
      names.set(source.local, { artifact, filename: source.local.name });
    }
  }
  said("submitting ...");
  const job: JobRequest = { feature: now.feature, inputs: inputsOf(fields, now.values, shape) };
  if (now.priority !== "normal") job.priority = now.priority;
  if (now.adapter) job.model_preference = now.adapter;
  if (now.variant) job.variant = now.variant;
  if (now.commercialOnly) job.commercial_only = true;
  return gateway.submit(job);
}
