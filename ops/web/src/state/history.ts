/** Series for charts, from what `/v1/stats` keeps: throughput, waits and load times over time. */

export interface Point {
  at: number;
  value: number;
}

export interface Series {
  name: string;
  unit: string;
  points: Point[];
}

type Loose = Record<string, unknown>;

/** Keys of one sample that are charted, in this order, each under the first of its names that is there. */
const CHARTED: { name: string; unit: string; keys: string[] }[] = [
  { name: "Jobs that ended", unit: "per minute", keys: ["throughput_per_min", "ended_per_min", "jobs_per_min", "ended", "finished", "throughput"] },
  { name: "Jobs that failed", unit: "per minute", keys: ["failed_per_min", "failed", "failures"] },
  { name: "Wait until the start", unit: "s", keys: ["wait_p50_s", "queued_p50_s", "wait_s", "queued_s"] },
  { name: "Loading a model", unit: "s", keys: ["load_p50_s", "load_s"] },
  { name: "Running", unit: "s", keys: ["run_p50_s", "run_s"] },
  { name: "Jobs waiting", unit: "jobs", keys: ["queued", "waiting"] },
  { name: "Jobs running", unit: "jobs", keys: ["running"] },
];

export function historyOf(body: unknown): Series[] {
  const samples = samplesOf(body);
  return CHARTED.flatMap(({ name, unit, keys }) => {
    const key = keys.find((each) => samples.some((sample) => numberOf(sample[each]) !== null));
    if (!key) return [];
    const points = samples.flatMap((sample) => {
      const value = numberOf(sample[key]);
      const at = timeOf(sample["at"] ?? sample["start"] ?? sample["time"]);
      return value === null || at === null ? [] : [{ at, value }];
    });
    return points.length > 1 ? [{ name, unit, points }] : [];
  });
}

function samplesOf(body: unknown): Loose[] {
  const told = (typeof body === "object" && body !== null ? body : {}) as Loose;
  for (const key of ["samples", "history", "minutes", "buckets"]) if (Array.isArray(told[key])) return told[key] as Loose[];
  return [];
}

/** A number, or the median of an object that has one. */
function numberOf(value: unknown): number | null {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  const median = typeof value === "object" && value !== null ? ((value as Loose)["p50"] ?? (value as Loose)["median"]) : null;
  return typeof median === "number" ? median : null;
}

function timeOf(value: unknown): number | null {
  if (typeof value === "number") return value < 1e11 ? value * 1000 : value;
  const at = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(at) ? null : at;
}

/** A line through the points in a box of that size, as the path of an SVG; y grows upwards from 0. */
export function pathOf(points: Point[], width: number, height: number): string {
  const first = points[0];
  const last = points[points.length - 1];
  if (!first || !last) return "";
  const span = Math.max(1, last.at - first.at);
  const top = Math.max(...points.map((each) => each.value)) || 1;
  return points
    .map(({ at, value }, index) => {
      const x = ((at - first.at) / span) * width;
      const y = height - (value / top) * height;
      return `${index === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}
