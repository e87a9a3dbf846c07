/** Failures and who is kept off work: jobs that failed, models that cannot run, devices that are set aside. */
import { useMemo } from "preact/hooks";
import { fleet, jobs } from "../state/known.js";
import { useStore } from "../state/store.js";
import { labelOf, timeOf } from "./parts.js";

const LISTED = 20;
const LONGEST = 160;

/** The job's own page has all of it. */
function cut(message: string): string {
  return message.length > LONGEST ? `${message.slice(0, message.lastIndexOf(" ", LONGEST))} ...` : message;
}

export function Failures() {
  const table = useStore(jobs);
  const members = useStore(fleet);
  const failed = useMemo(() => {
    const found = [];
    for (const id of table.order) {
      const each = table.byId.get(id)!;
      if (each.status === "failed" || each.status === "expired") found.push(each);
      if (found.length === LISTED) break;
    }
    return found;
  }, [table]);
  const off = [...members.values()].flatMap(({ advert, adapters }) => [
    ...advert.devices.filter((each) => each.quarantine).map((each) => ({ agent: advert.agent_id, what: each.id, why: each.quarantine! })),
    ...adapters.filter((each) => !each.available).map((each) => ({ agent: advert.agent_id, what: each.adapter_id, why: each.reason ?? "cannot run" })),
  ]);
  return (
    <section class="panel" aria-labelledby="failures">
      <h2 id="failures">Failures and benches</h2>
      {failed.length === 0 && <p class="empty">No job has failed lately.</p>}
      <ul class="failures">
        {failed.map((each) => (
          <li key={each.job_id}>
            <time>{timeOf(each.at)}</time> <a href={`#/queue/${each.job_id}`}>{labelOf(each)}</a>{" "}
            <strong>{each.error?.code ?? each.status}</strong> {cut(each.error?.message ?? each.reason ?? "")}
            {each.error?.attempts && each.error.attempts.length > 0 && <small> on {each.error.attempts.map((one) => one.agent_id).join(", ")}</small>}
          </li>
        ))}
      </ul>
      {off.length > 0 && (
        <details class="more">
          <summary>{off.length} models and devices take no job</summary>
          <ul>
            {off.map((each) => (
              <li key={`${each.agent}/${each.what}`}>
                {each.agent}: <strong>{each.what}</strong> {each.why}
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
