/** The jobs that the page knows: a table by id, newest submission first, changed by what the gateway says. */
import { hasEnded, type Progress, type Status } from "../api/types.js";

export interface JobTable {
  byId: ReadonlyMap<string, Status>;
  /** Ids, the newest submission first. */
  order: readonly string[];
}

export const NO_JOBS: JobTable = { byId: new Map(), order: [] };

/** Takes statuses in; an older one about a job changes nothing. The order is kept, so that rows do not jump. */
export function withStatuses(table: JobTable, statuses: readonly Status[]): JobTable {
  if (statuses.length === 0) return table;
  const byId = new Map(table.byId);
  const added: Status[] = [];
  for (const each of statuses) {
    const known = byId.get(each.job_id);
    if (known && !isNewer(each, known)) continue;
    if (!known) added.push(each);
    byId.set(each.job_id, each);
  }
  if (added.length === 0) return { byId, order: table.order };
  const fresh = [...new Set(added.map((each) => each.job_id))];
  return { byId, order: merged(table.order, fresh, byId) };
}

const ORDER = ["submitted", "queued", "awarded", "running"];

/** Times are RFC 3339 in UTC with milliseconds, so they compare as text. In one millisecond the later word counts. */
function isNewer(a: Status, known: Status): boolean {
  if (a.at !== known.at) return a.at > known.at;
  if (a.attempt !== known.attempt) return a.attempt > known.attempt;
  const rank = (each: Status) => (hasEnded(each.status) ? ORDER.length : ORDER.indexOf(each.status));
  return rank(a) >= rank(known);
}

function merged(order: readonly string[], fresh: string[], byId: ReadonlyMap<string, Status>): string[] {
  const when = (id: string) => byId.get(id)!.submitted_at;
  fresh.sort((a, b) => (when(a) < when(b) ? 1 : when(a) > when(b) ? -1 : 0));
  const out: string[] = [];
  let at = 0;
  for (const id of order) {
    while (at < fresh.length && when(fresh[at]!) > when(id)) out.push(fresh[at++]!);
    out.push(id);
  }
  return out.concat(fresh.slice(at));
}

export interface Wanted {
  /** "", "open" (has not ended) or a status. */
  status: string;
  feature: string;
  text: string;
}

export function chosen(table: JobTable, wanted: Wanted, label: (id: string) => string): Status[] {
  const text = wanted.text.trim().toLowerCase();
  const found: Status[] = [];
  for (const id of table.order) {
    const each = table.byId.get(id)!;
    if (wanted.status === "open" ? hasEnded(each.status) : wanted.status && each.status !== wanted.status) continue;
    if (wanted.feature && each.feature !== wanted.feature) continue;
    if (text && !`${id} ${label(id)} ${each.adapter_id ?? ""} ${each.tenant}`.toLowerCase().includes(text)) continue;
    found.push(each);
  }
  return found;
}

/** Progress by job; what has ended has none. */
export function withProgress(
  known: ReadonlyMap<string, Progress>,
  heard: readonly Progress[],
  ended: readonly string[],
): ReadonlyMap<string, Progress> {
  if (heard.length === 0 && !ended.some((id) => known.has(id))) return known;
  const next = new Map(known);
  for (const each of heard) next.set(each.job_id, each);
  for (const id of ended) next.delete(id);
  return next;
}
