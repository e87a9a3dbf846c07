/** What a job is called in lists. */
import type { Status } from "../api/types.js";
import type { JobTable } from "./jobs.js";

const OF = /^of (\S+)$/;

/** A job's own words; one that has none but whose result it takes is called after that one. */
export function labelIn(table: JobTable, status: Status): string {
  const feature = status.feature.replace(/_/g, " ");
  let label = status.label ?? "";
  // People may call a job "of X", too, so that they might lead in a circle.
  const asked = new Set<string>();
  for (let source = OF.exec(label)?.[1]; source !== undefined && !asked.has(source); source = OF.exec(label)?.[1]) {
    asked.add(source);
    const known = table.byId.get(source);
    if (!known) return `${feature} of ${source}`;
    label = known.label || known.feature.replace(/_/g, " ");
  }
  if (!label) return feature;
  return label === status.label ? label : `${feature} of ${label}`;
}
