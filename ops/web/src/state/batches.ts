/** Groups and chains in one form. */

export interface Batch {
  kind: "group" | "chain";
  id: string;
  status: string;
  fraction: number;
  ended: boolean;
  words: string;
  /** A chain's steps; a group has too many jobs to name. */
  steps: { name: string; job_id: string; status: string }[];
  submitted_at: string;
}

interface Wire {
  chain_id?: string;
  group_id?: string;
  status: string;
  fraction?: number;
  reason?: string | null;
  cancelling?: boolean;
  submitted_at?: string;
  steps?: { name: string; job_id: string; status: string; stage?: string | null }[];
  counts?: Record<string, number>;
}

const ENDS = ["succeeded", "failed", "cancelled"];

export function batchesOf(groups: unknown, chains: unknown): Batch[] {
  const found = [
    ...listOf(groups, "groups").map((each) => batchOf("group", each.group_id ?? "", each)),
    ...listOf(chains, "chains").map((each) => batchOf("chain", each.chain_id ?? "", each)),
  ];
  return found.sort((a, b) => Number(a.ended) - Number(b.ended) || (a.submitted_at < b.submitted_at ? 1 : -1));
}

function listOf(body: unknown, key: string): Wire[] {
  const list = typeof body === "object" && body !== null ? (body as Record<string, unknown>)[key] : null;
  return Array.isArray(list) ? (list as Wire[]) : [];
}

function batchOf(kind: Batch["kind"], id: string, wire: Wire): Batch {
  const counts = Object.entries(wire.counts ?? {}).map(([status, count]) => `${count} ${status}`);
  const doing = wire.steps?.find((each) => each.status === "running");
  const words = [wire.cancelling && "being cancelled", ...counts, doing && `${doing.name} ${doing.stage ?? ""}`, wire.reason];
  return {
    kind,
    id,
    status: wire.status,
    fraction: wire.fraction ?? 0,
    ended: ENDS.includes(wire.status),
    words: words.filter(Boolean).join(", "),
    steps: (wire.steps ?? []).map(({ name, job_id, status }) => ({ name, job_id, status })),
    submitted_at: wire.submitted_at ?? "",
  };
}
