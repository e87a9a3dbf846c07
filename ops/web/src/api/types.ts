/** The wire's shapes, as far as the page reads them (contracts/schema). Later versions may add fields and words. */

export type JobStatus =
  | "submitted" | "queued" | "awarded" | "running"
  | "succeeded" | "failed" | "rejected" | "cancelled" | "expired";

export const ENDED: readonly string[] = ["succeeded", "failed", "rejected", "cancelled", "expired"];

/** A status that this page does not know is taken for an end (docs/wire.md). */
export function hasEnded(status: string): boolean {
  return !["submitted", "queued", "awarded", "running"].includes(status);
}

export interface Failure {
  code: string;
  message: string;
  field?: string | null;
  attempts?: { attempt: number; agent_id: string; device: string | null; code: string; message: string; at: string }[];
}

export interface Status {
  job_id: string;
  feature: string;
  priority: string;
  tenant: string;
  status: JobStatus;
  attempt: number;
  agent_id: string | null;
  device: string | null;
  adapter_id: string | null;
  reason: string | null;
  error: Failure | null;
  at: string;
  submitted_at: string;
  variant?: string | null;
  label?: string | null;
}

export interface Progress {
  job_id: string;
  attempt: number;
  fraction: number | null;
  stage: string | null;
  message: string | null;
  at: string;
}

export interface Artifact {
  name: string;
  size: number;
  sha256: string;
  media_type: string;
}

export interface Result {
  job_id: string;
  feature: string;
  status: JobStatus;
  agent_id: string | null;
  device: string | null;
  adapter_id: string | null;
  outputs: Record<string, unknown> | null;
  artifacts: Artifact[];
  timings: { submitted_at: string | null; finished_at: string | null; queued_s: number | null; load_s: number | null; run_s: number | null };
  metadata: Record<string, unknown>;
  error: Failure | null;
  cached_from?: string | null;
}

export interface JobList {
  jobs: Status[];
  next: string | null;
}

/** The part of JSON Schema that adapters' parameters use. */
export interface Schema {
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  enum?: (string | number | boolean | null)[];
  default?: unknown;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  description?: string;
  additionalProperties?: boolean | Schema;
}

export interface Variant {
  name: string;
  vram_mb: number;
  quality: number;
}

export interface FeatureAdapter {
  adapter_id: string;
  available: boolean;
  parameters: Schema | null;
  variants?: Variant[];
  /** What the gateway adds, where it knows. */
  license?: unknown;
  licence?: unknown;
  commercial?: string;
  excluded_territories?: string[];
}

export interface Feature {
  feature: string;
  /** Alternatives are joined by `|`. */
  required: string[];
  adapters: FeatureAdapter[];
}

export interface Device {
  id: string;
  kind: string;
  name: string;
  total_mb: number;
  free_mb: number;
  reserved_mb: number;
  buffer_mb: number;
  max_running?: number | null;
  quarantine?: string | null;
}

export interface Resident {
  adapter_id: string;
  device: string;
  pid: number;
  vram_mb: number;
  idle_s: number;
  variant?: string | null;
}

export interface Running {
  job_id: string;
  attempt: number;
  token: string;
  adapter_id: string;
  device: string;
  on_device?: boolean;
  variant?: string | null;
}

export interface AdapterOffer {
  adapter_id: string;
  feature: string;
  vram_mb: number;
  available: boolean;
  reason?: string | null;
  commercial?: string;
  excluded_territories?: string[];
  variants?: Variant[];
  devices: string[];
}

export interface Advert {
  agent_id: string;
  incarnation: string;
  seq: number;
  host: string;
  version: string;
  draining: boolean;
  reason?: string | null;
  labels?: Record<string, string>;
  devices: Device[];
  residents: Resident[];
  running: Running[];
  adapters?: AdapterOffer[] | null;
}

export interface Reason {
  agent_id: string;
  device?: string | null;
  code: string;
  need_mb?: number | null;
  have_mb?: number | null;
  short_mb?: number | null;
  adapter_id?: string | null;
  message?: string | null;
  field?: string | null;
}

export interface Explanation {
  status: string;
  summary: string;
  reasons: Reason[];
  turn?: { tenant: string; place: number; before: string[]; own_before: number; queued: number; running: number } | null;
}

/** An input that is a file. */
export type FileInput =
  | { artifact: string; filename?: string }
  | { inline: string; filename: string }
  | { result: string; name?: string };

export interface JobRequest {
  feature: string;
  inputs: Record<string, unknown>;
  priority?: string;
  model_preference?: string | string[];
  variant?: string;
  commercial_only?: boolean;
  metadata?: Record<string, unknown>;
}
