/** What the gateway offers, one function per path. */
import type { Stats } from "../state/history.js";
import { get, post, remove, send } from "./http.js";
import type { Advert, Explanation, Feature, JobList, JobRequest, Result, Status } from "./types.js";

const of = (id: string) => `/v1/jobs/${encodeURIComponent(id)}`;

export interface Uploaded {
  artifact: string;
  size: number;
  media_type: string;
  name: string;
}

export interface JobFilter {
  status?: string;
  feature?: string;
  tenant?: string;
  limit?: number;
  cursor?: string | null;
}

export function listJobs(filter: JobFilter, signal?: AbortSignal): Promise<JobList> {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(filter)) if (value) query.set(key, String(value));
  return get<JobList>(`/v1/jobs?${query}`, signal);
}

export async function features(): Promise<Feature[]> {
  return (await get<{ features: Feature[] }>("/v1/features")).features;
}

export async function agents(): Promise<Advert[]> {
  return (await get<{ agents: Advert[] }>("/v1/agents")).agents;
}

export const status = (id: string) => get<Status>(of(id));
export const result = (id: string) => get<Result>(`${of(id)}/result`);
export const request = (id: string) => get<{ inputs?: Record<string, unknown> }>(`${of(id)}/request`);
export const explain = (id: string) => get<Explanation>(`${of(id)}/explain`);
export const bids = (id: string) => get<unknown>(`${of(id)}/bids`);
export const cancel = (id: string) => remove<Status>(of(id));
export const retry = (id: string) => post<Status>(`${of(id)}/retry`);
export const submit = (job: JobRequest) => post<Status>("/v1/jobs", job);
export const stats = () => get<Stats>("/v1/stats");
export const groups = () => get<unknown>("/v1/groups");
export const chains = () => get<unknown>("/v1/chains");

export function control(agent: string, verb: "drain" | "resume" | "load" | "unload", body: Record<string, unknown> = {}) {
  return post<{ message?: string }>(`/v1/agents/${encodeURIComponent(agent)}/${verb}`, body);
}

export async function upload(file: File): Promise<Uploaded> {
  const answer = await send(`/v1/files?name=${encodeURIComponent(file.name)}`, {
    method: "POST",
    headers: { "Content-Type": file.type || "application/octet-stream" },
    body: file,
  });
  return (await answer.json()) as Uploaded;
}

export function artifactPath(job: string, name: string): string {
  return `${of(job)}/artifacts/${encodeURIComponent(name)}`;
}

export async function artifact(job: string, name: string, signal?: AbortSignal): Promise<Blob> {
  return (await send(artifactPath(job, name), signal ? { signal } : {})).blob();
}

export function cancelBatch(kind: "group" | "chain", id: string): Promise<unknown> {
  return remove(`/v1/${kind}s/${encodeURIComponent(id)}`);
}

export function retryBatch(kind: "group" | "chain", id: string): Promise<unknown> {
  return post(`/v1/${kind}s/${encodeURIComponent(id)}/retry`);
}
