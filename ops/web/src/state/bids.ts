/** Bids of a job as rows of a table, from what the gateway tells of its last auction. */
import type { Reason } from "../api/types.js";

export interface BidRow {
  agent_id: string;
  device: string;
  adapter_id: string;
  warm: boolean;
  evict_mb: number;
  claim_mb: number;
  queue_s: number;
  load_s: number;
  run_s: number | null;
  won: boolean;
  reason: string;
}

export interface BidTableData {
  rows: BidRow[];
  declines: Reason[];
  /** Why the winner won, where the gateway says it. */
  why: string;
}

type Loose = Record<string, unknown>;

const text = (value: unknown) => (typeof value === "string" ? value : "");
const number = (value: unknown) => (typeof value === "number" ? value : 0);
const list = (value: unknown) => (Array.isArray(value) ? (value as Loose[]) : []);

/**
 * Takes `{"answers": [bids messages]}` (docs/wire.md: bids.json) or `{"bids": [...], "declines": [...]}` with an
 * `agent_id` in each. `winner` is what the status says of the attempt, if the bids do not mark it.
 */
export function bidsOf(body: unknown, winner: { agent: string | null; device: string | null; adapter: string | null }): BidTableData {
  const told = (typeof body === "object" && body !== null ? body : {}) as Loose;
  const answers = list(told["answers"]);
  const flat = (key: string): Loose[] =>
    answers.length > 0 ? answers.flatMap((each) => list(each[key]).map((one) => ({ agent_id: each["agent_id"], ...one }) as Loose)) : list(told[key]);
  const rows = flat("bids").map((each): BidRow => {
    const own = { agent_id: text(each["agent_id"]), device: text(each["device"]), adapter_id: text(each["adapter_id"]) };
    const marked = each["won"] ?? each["winner"];
    return {
      ...own,
      warm: each["warm"] === true,
      evict_mb: number(each["evict_mb"]),
      claim_mb: number(each["claim_mb"]),
      queue_s: number(each["est_queue_s"]),
      load_s: number(each["est_load_s"]),
      run_s: typeof each["est_run_s"] === "number" ? each["est_run_s"] : null,
      won:
        typeof marked === "boolean"
          ? marked
          : own.agent_id === winner.agent && own.device === winner.device && own.adapter_id === winner.adapter,
      reason: text(each["reason"]),
    };
  });
  const declines = flat("declines").flatMap((each) =>
    each["reasons"] ? list(each["reasons"]).map((one) => one as unknown as Reason) : [each as unknown as Reason],
  );
  rows.sort((a, b) => Number(b.won) - Number(a.won) || total(a) - total(b));
  return { rows, declines, why: text(told["reason"]) || text(told["why"]) || text((told["winner"] as Loose | undefined)?.["reason"]) };
}

/** When the job would be done by this bid, in seconds from the bid. */
export function total(row: BidRow): number {
  return row.queue_s + row.load_s + (row.run_s ?? 0);
}
