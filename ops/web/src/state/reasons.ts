/** Why a job waits, in words. */
import type { Explanation, Reason } from "../api/types.js";

const CODES: Record<string, string> = {
  vram_busy: "its memory is in use",
  vram_total: "too little memory",
  no_slot: "runs as many as it may",
  no_adapter: "has no model for it",
  adapter_unavailable: "the model cannot run there",
  licence: "its licence does not allow commercial use",
  no_device: "no device of that kind",
  parameters: "refuses the inputs",
  draining: "takes nothing new",
  benched: "kept off after failures",
  quarantined: "the device is broken",
  excluded: "an earlier attempt failed there",
  silent: "does not answer",
  stale: "its answer was too old",
};

export function reasonInWords(reason: Reason): string {
  let words = CODES[reason.code] ?? reason.code;
  if (reason.need_mb && reason.have_mb !== null && reason.have_mb !== undefined) {
    words += `: needs ${reason.need_mb} MB, has ${reason.have_mb}`;
  }
  if (reason.adapter_id) words += ` (${reason.adapter_id})`;
  if (reason.field) words += `, ${reason.field}`;
  return reason.message ? `${words}: ${reason.message}` : words;
}

/** Whose turn it is: tenants take turns, and each tenant's own jobs stand in a row. */
export function turnInWords(turn: NonNullable<Explanation["turn"]>): string {
  const own = turn.own_before;
  const first = turn.before.length > 0 ? `${turn.before.join(", ")} may start a job before ${turn.tenant}; then ` : "";
  if (own === 0) return first ? `${first}it is this one's turn` : "it is the next one to start";
  const row = own === 1 ? "1 job stands before this one" : `${own.toLocaleString("en-US")} jobs stand before this one`;
  return first ? `${first}${row} in its own row` : row;
}
