/** Queue: what runs, what waits and why, what ended; any number of jobs. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { wordsOf } from "../api/http.js";
import { hasEnded, type Status } from "../api/types.js";
import { chosen, type Wanted } from "../state/jobs.js";
import { connection, features, jobs, nextPage, progress } from "../state/known.js";
import { morePages } from "../state/live.js";
import { useStore } from "../state/store.js";
import { Batches } from "./batches.js";
import { JobDetails } from "./job_details.js";
import { labelOf, ProgressBar, timeOf, Word } from "./parts.js";
import { WindowList } from "./window_list.js";

const STATUSES: [string, string][] = [
  ["", "all"],
  ["open", "not ended"],
  ["queued", "queued"],
  ["running", "running"],
  ["succeeded", "succeeded"],
  ["failed", "failed"],
  ["rejected", "rejected"],
  ["cancelled", "cancelled"],
  ["expired", "expired"],
];
const ROW = 56;

export function Queue({ id }: { id: string | null }) {
  const table = useStore(jobs);
  const offered = useStore(features);
  const [wanted, setWanted] = useState<Wanted>({ status: "", feature: "", text: "" });
  const list = useMemo(() => chosen(table, wanted, (each) => labelOf(table.byId.get(each)!)), [table, wanted]);
  const counts = useMemo(() => countsOf(table.byId.values()), [table]);
  const pager = usePager(wanted);
  const change = (next: Partial<Wanted>) => setWanted({ ...wanted, ...next });
  return (
    <div class={id ? "queue with-details" : "queue"}>
      <section class="panel" aria-labelledby="queue-title">
        <header class="queue-head">
          <h1 id="queue-title">Queue</h1>
          <p role="status">
            {counts.running} running, {counts.waiting} waiting, {counts.ended} ended
            {pager.more && " (of those listed so far)"}
          </p>
        </header>
        <Batches />
        <div class="filters" role="search" aria-label="Filter the jobs">
          <label>
            Status{" "}
            <select value={wanted.status} onChange={(event) => change({ status: event.currentTarget.value })}>
              {STATUSES.map(([value, words]) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
            </select>
          </label>
          <label>
            Feature{" "}
            <select value={wanted.feature} onChange={(event) => change({ feature: event.currentTarget.value })}>
              <option value="">all</option>
              {offered.map((each) => (
                <option key={each.feature} value={each.feature}>
                  {each.feature.replace(/_/g, " ")}
                </option>
              ))}
            </select>
          </label>
          <label class="grow">
            Find <input type="search" value={wanted.text} placeholder="words, id, model, tenant" onInput={(event) => change({ text: event.currentTarget.value })} />
          </label>
        </div>
        {pager.wrong && <p class="wrong">the next page of the list: {pager.wrong}</p>}
        <WindowList<Status>
          label="Jobs, the newest first"
          items={list}
          rowHeight={ROW}
          keyOf={(each) => each.job_id}
          chosen={id}
          open={(each) => (location.hash = `#/queue/${each.job_id}`)}
          nearEnd={pager.next}
          columns={["Job", "Status", "Model and host", "Submitted"]}
          row={(each) => <Row status={each} />}
        />
        {list.length === 0 && <p class="empty">{pager.more ? "looking further ..." : "No such job."}</p>}
      </section>
      {id && <JobDetails key={id} id={id} />}
    </div>
  );
}

function Row({ status }: { status: Status }) {
  const heard = useStore(progress, (known) => known.get(status.job_id));
  return (
    <>
      <span role="cell" class="cell-job">
        <strong>{labelOf(status)}</strong>
        <small>
          {status.feature.replace(/_/g, " ")} · {status.job_id}
        </small>
      </span>
      <span role="cell" class="cell-status">
        <Word status={status.status} />
        {hasEnded(status.status) ? (
          <small>{status.error?.code ?? ""}</small>
        ) : (
          <small>
            <ProgressBar status={status} progress={heard} />
          </small>
        )}
      </span>
      <span role="cell" class="cell-where">
        <span>{status.adapter_id ?? ""}</span>
        <small>{status.agent_id ?? ""}</small>
      </span>
      <span role="cell" class="cell-when">
        {timeOf(status.submitted_at)}
        {status.priority !== "normal" && <small>{status.priority}</small>}
      </span>
    </>
  );
}

function countsOf(all: Iterable<Status>): { running: number; waiting: number; ended: number } {
  const counts = { running: 0, waiting: 0, ended: 0 };
  for (const each of all) {
    if (hasEnded(each.status)) counts.ended += 1;
    else if (each.status === "running") counts.running += 1;
    else counts.waiting += 1;
  }
  return counts;
}

/** Fetches page after page as the list is scrolled; a filter that the gateway knows has pages of its own. */
function usePager(wanted: Wanted): { next: () => void; more: boolean; wrong: string } {
  const status = wanted.status === "open" ? "" : wanted.status;
  const filter = `${status}/${wanted.feature}`;
  const own = useRef<{ filter: string; cursor: string | null | undefined; busy: boolean }>({ filter: "", cursor: undefined, busy: false });
  const [, drawn] = useState(0);
  const [wrong, setWrong] = useState("");
  const plain = filter === "/";
  const shared = useStore(nextPage);
  const open = useStore(connection, (now) => now.state === "open");
  if (own.current.filter !== filter) own.current = { filter, cursor: undefined, busy: false };
  const page = own.current;
  const cursor = plain ? shared : page.cursor;

  const next = () => {
    if (page.busy || cursor === null || (plain && cursor === undefined)) return;
    page.busy = true;
    morePages({ status, feature: wanted.feature }, cursor ?? null).then(
      (after) => {
        page.busy = false;
        page.cursor = after;
        if (plain) nextPage.set(after);
        setWrong("");
        drawn((count) => count + 1);
      },
      (error: unknown) => {
        page.busy = false;
        setWrong(wordsOf(error));
      },
    );
  };
  // A page may hold nothing that this filter shows.
  useEffect(() => {
    if (!plain && page.cursor === undefined) next();
  }, [filter, open]);
  return { next, more: cursor !== null, wrong };
}
