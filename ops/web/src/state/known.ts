/** All that the page knows, as stores. */
import type { Feature, Progress, Result } from "../api/types.js";
import type { Fleet, FleetEvent } from "./fleet.js";
import { NO_JOBS, type JobTable } from "./jobs.js";
import { Store } from "./store.js";

export type Connection =
  | { state: "connecting" }
  | { state: "open" }
  | { state: "lost"; why: string; since: number };

export const connection = new Store<Connection>({ state: "connecting" });
export const tokenWanted = new Store(false);
export const jobs = new Store<JobTable>(NO_JOBS);
/** How to go on in the list without a filter: null at its end, undefined before its first page. */
export const nextPage = new Store<string | null | undefined>(undefined);
export const progress = new Store<ReadonlyMap<string, Progress>>(new Map());
export const features = new Store<Feature[]>([]);
export const fleet = new Store<Fleet>(new Map());
export const fleetLog = new Store<readonly FleetEvent[]>([]);
/** Results of jobs that have ended; they do not change. */
export const results = new Store<ReadonlyMap<string, Result>>(new Map());
/** The job whose result Make shows. */
export const selected = new Store<string | null>(null);
/** Said by screen readers. */
export const announcement = new Store("");

export function keepResult(result: Result): void {
  results.update((known) => new Map(known).set(result.job_id, result));
}
