/** Series for charts from the intervals of `/v1/stats`: throughput, failures, waits, loads and runs over time. */

export interface Point {
  /** Milliseconds. */
  at: number;
  value: number;
}

export interface Series {
  name: string;
  unit: string;
  points: Point[];
}

interface Span {
  count: number;
  total_s: number;
  max_s: number;
}

interface Interval {
  /** Unix seconds. */
  at: number;
  jobs?: Record<string, number>;
  queued?: Span;
  load?: Span;
  run?: Span;
}

export interface Stats {
  interval_s: number;
  /** Those in which something happened, the oldest first. */
  intervals: Interval[];
}

const ENDS = ["succeeded", "failed", "rejected", "cancelled", "expired"];
const FAILURES = ["failed", "rejected", "expired"];
const MOST_POINTS = 720;

export function historyOf(stats: Stats): Series[] {
  const { interval_s: step, intervals } = stats;
  const perMinute = (words: string[]) => (each: Interval | undefined) =>
    (words.reduce((sum, word) => sum + (each?.jobs?.[word] ?? 0), 0) * 60) / step;
  const found = [
    { name: "Jobs that ended", unit: "per minute", points: counted(stats, perMinute(ENDS)) },
    { name: "Jobs that failed", unit: "per minute", points: counted(stats, perMinute(FAILURES)) },
    { name: "Wait until the start", unit: "s on average", points: meant(intervals, (each) => each.queued) },
    { name: "Loading a model", unit: "s on average", points: meant(intervals, (each) => each.load) },
    { name: "Running", unit: "s on average", points: meant(intervals, (each) => each.run) },
  ];
  return found.filter((each) => each.points.length > 1);
}

/** Nothing happened in an interval that is not there: its count is 0. */
function counted({ interval_s: step, intervals }: Stats, value: (each: Interval | undefined) => number): Point[] {
  const first = intervals[0];
  const last = intervals[intervals.length - 1];
  if (!first || !last || !(step > 0)) return [];
  const byTime = new Map(intervals.map((each) => [Math.round(each.at / step), each]));
  const end = Math.round(last.at / step);
  const start = Math.max(Math.round(first.at / step), end - MOST_POINTS);
  return Array.from({ length: end - start + 1 }, (_, at) => ({ at: (start + at) * step * 1000, value: value(byTime.get(start + at)) }));
}

function meant(intervals: Interval[], span: (each: Interval) => Span | undefined): Point[] {
  return intervals.flatMap((each) => {
    const { count = 0, total_s = 0 } = span(each) ?? {};
    return count > 0 ? [{ at: each.at * 1000, value: total_s / count }] : [];
  });
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
