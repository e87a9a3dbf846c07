/** Groups and chains: many jobs with one status. Asked again while one is under way. */
import { useEffect, useState } from "preact/hooks";
import * as gateway from "../api/gateway.js";
import { ApiError } from "../api/http.js";
import { batchesOf, type Batch } from "../state/batches.js";
import { jobs } from "../state/known.js";
import { Act, labelOf, Word } from "./parts.js";

const EVERY_MS = 2000;
const EVERY_IDLE_MS = 15_000;

export function Batches() {
  const [batches, setBatches] = useState<Batch[]>([]);
  useEffect(() => {
    let stop = false;
    let timer = 0;
    const ask = async () => {
      const [groups, chains] = await Promise.all([known("groups"), known("chains")]);
      if (stop) return;
      const next = batchesOf(groups, chains);
      setBatches(next);
      timer = window.setTimeout(() => void ask(), next.some((each) => !each.ended) ? EVERY_MS : EVERY_IDLE_MS);
    };
    void ask();
    return () => {
      stop = true;
      clearTimeout(timer);
    };
  }, []);
  if (batches.length === 0) return null;
  return (
    <details class="batches" open={batches.some((each) => !each.ended) || undefined}>
      <summary>
        Batches and chains ({batches.filter((each) => !each.ended).length} under way of {batches.length})
      </summary>
      <ul>
        {batches.map((each) => (
          <li key={`${each.kind}-${each.id}`}>
            <span class="batch-name">
              {each.kind} <strong>{madeOf(each)}</strong> <Word status={each.status} />
            </span>
            <progress max={1} value={each.fraction} aria-label={`${each.kind} ${each.id}`} />
            <span>{each.words}</span>
            <span class="row">
              {each.steps.map((step) => (
                <a key={step.job_id} href={`#/queue/${step.job_id}`}>
                  {step.name}: {step.status}
                </a>
              ))}
            </span>
            {!each.ended && <Act words="Cancel all" sure="Cancel all?" act={async () => void (await gateway.cancelBatch(each.kind, each.id))} />}
            {each.ended && each.status !== "succeeded" && (
              <Act words="Retry what failed" act={async () => void (await gateway.retryBatch(each.kind, each.id))} />
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** A chain is called after its first step, as far as that is known. */
function madeOf(batch: Batch): string {
  const first = jobs.get().byId.get(batch.steps[0]?.job_id ?? "");
  return first ? `${labelOf(first)} (${batch.id})` : batch.id;
}

const LISTS = { groups: gateway.groups, chains: gateway.chains };
/** A gateway of an earlier version says 404; it is not asked again. */
const missing = new Set<string>();

async function known(what: keyof typeof LISTS): Promise<unknown> {
  if (missing.has(what)) return null;
  try {
    return await LISTS[what]();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === 404) missing.add(what);
    return null;
  }
}
