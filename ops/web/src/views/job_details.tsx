/** All about one job: where it stands and why, its inputs, the bids for it, its end. */
import { useEffect, useState } from "preact/hooks";
import * as gateway from "../api/gateway.js";
import { ApiError, wordsOf } from "../api/http.js";
import { hasEnded, type Explanation, type Status } from "../api/types.js";
import { jobs, progress, selected } from "../state/known.js";
import { keepStatus } from "../state/live.js";
import { reasonInWords, turnInWords } from "../state/reasons.js";
import { useStore } from "../state/store.js";
import { BidTable } from "./bids.js";
import { Failed } from "./job_pane.js";
import { Act, labelOf, ProgressBar, timeOf, Word } from "./parts.js";

const EXPLAINED_EVERY_MS = 3000;

export function JobDetails({ id }: { id: string }) {
  const status = useStore(jobs, (table) => table.byId.get(id));
  const [wrong, setWrong] = useState("");
  useEffect(() => {
    gateway.status(id).then(keepStatus, (error: unknown) => setWrong(wordsOf(error)));
  }, [id]);
  return (
    <aside class="panel details" aria-label={`Job ${id}`}>
      <header>
        <h2>{status ? labelOf(status) : id}</h2>
        <a class="close" href="#/queue" aria-label="Close the details">
          ✕
        </a>
      </header>
      {status ? <Known status={status} /> : <p class="empty">{wrong || "asking ..."}</p>}
    </aside>
  );
}

function Known({ status }: { status: Status }) {
  const heard = useStore(progress, (known) => known.get(status.job_id));
  const ended = hasEnded(status.status);
  const look = () => {
    selected.set(status.job_id);
    location.hash = "#/make";
  };
  return (
    <>
      <p>
        <Word status={status.status} /> <ProgressBar status={status} progress={heard} />
      </p>
      <dl class="pairs">
        <dt>job</dt>
        <dd>{status.job_id}</dd>
        <dt>feature</dt>
        <dd>{status.feature}</dd>
        <dt>tenant, priority</dt>
        <dd>
          {status.tenant}, {status.priority}
        </dd>
        <dt>attempt</dt>
        <dd>{status.attempt}</dd>
        {status.adapter_id && (
          <>
            <dt>model</dt>
            <dd>
              {status.adapter_id}
              {status.variant && ` as ${status.variant}`}
            </dd>
          </>
        )}
        {status.agent_id && (
          <>
            <dt>where</dt>
            <dd>
              {status.agent_id}
              {status.device && `, ${status.device}`}
            </dd>
          </>
        )}
        <dt>submitted</dt>
        <dd>{timeOf(status.submitted_at)}</dd>
        <dt>last change</dt>
        <dd>{timeOf(status.at)}</dd>
      </dl>
      <p class="row">
        {!ended && <Act words="Cancel" sure="Cancel it?" act={async () => keepStatus(await gateway.cancel(status.job_id))} />}
        {status.status === "succeeded" && (
          <button type="button" class="primary" onClick={look}>
            Look at it
          </button>
        )}
        {status.status === "succeeded" && (
          <Act
            words="Run again"
            act={async () => {
              const again = await gateway.retry(status.job_id);
              keepStatus(again);
              location.hash = `#/queue/${again.job_id}`;
            }}
          />
        )}
      </p>
      {ended && status.status !== "succeeded" && <Failed status={status} />}
      {!ended && <Why id={status.job_id} changed={status.at} />}
      <Inputs id={status.job_id} />
      <BidTable id={status.job_id} adapter={status.adapter_id} agent={status.agent_id} device={status.device} attempt={status.attempt} />
    </>
  );
}

/** Explain's words, asked again while the job waits. */
function Why({ id, changed }: { id: string; changed: string }) {
  const [found, setFound] = useState<Explanation | null>(null);
  const [wrong, setWrong] = useState("");
  useEffect(() => {
    let stop = false;
    let timer = 0;
    const ask = async () => {
      try {
        const answer = await gateway.explain(id);
        if (!stop) setFound(answer);
      } catch (error) {
        if (!stop) setWrong(wordsOf(error));
      }
      if (!stop) timer = window.setTimeout(() => void ask(), EXPLAINED_EVERY_MS);
    };
    void ask();
    return () => {
      stop = true;
      clearTimeout(timer);
    };
  }, [id, changed]);
  if (!found) return wrong ? <p class="wrong">{wrong}</p> : null;
  const turn = found.turn;
  return (
    <section aria-label="Why">
      <h3>Why</h3>
      <p>{found.summary}</p>
      {turn && <p class="help">{turnInWords(turn)}</p>}
      {found.reasons.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">host</th>
                <th scope="col">device</th>
                <th scope="col">why not</th>
              </tr>
            </thead>
            <tbody>
              {found.reasons.map((each, at) => (
                <tr key={at}>
                  <td>{each.agent_id}</td>
                  <td>{each.device ?? ""}</td>
                  <td>{reasonInWords(each)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Inputs({ id }: { id: string }) {
  const [inputs, setInputs] = useState<Record<string, unknown> | null>(null);
  useEffect(() => {
    gateway.request(id).then(
      (request) => setInputs(request.inputs ?? null),
      (error: unknown) => {
        // Requests of old jobs are not kept.
        if (!(error instanceof ApiError)) throw error;
      },
    );
  }, [id]);
  if (!inputs) return null;
  return (
    <section aria-label="Inputs">
      <h3>Inputs</h3>
      <dl class="pairs">
        {Object.entries(inputs).map(([key, value]) => (
          <>
            <dt key={`${key}-name`}>{key}</dt>
            <dd key={key}>{inWords(value)}</dd>
          </>
        ))}
      </dl>
    </section>
  );
}

function inWords(value: unknown): string {
  if (Array.isArray(value)) return value.map(inWords).join(", ");
  if (typeof value === "object" && value !== null) {
    const file = value as { filename?: string; artifact?: string; result?: string; name?: string; inline?: string };
    if (file.result) return `${file.name ?? "the file"} of job ${file.result}`;
    if (file.filename) return file.filename;
    return file.artifact ?? JSON.stringify(value).slice(0, 300);
  }
  return String(value);
}
