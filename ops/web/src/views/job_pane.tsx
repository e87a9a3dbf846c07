/** One job in Make: how far it is, and its result in the viewer with what can be done next. */
import { useEffect, useState } from "preact/hooks";
import * as gateway from "../api/gateway.js";
import { wordsOf } from "../api/http.js";
import { hasEnded, type Artifact, type Feature, type Result, type Status } from "../api/types.js";
import { fieldsOf, MESH_ENDINGS } from "../forms/fields.js";
import { bytesInWords, factsOf, mainArtifact, remarksOf, secondsInWords } from "../state/facts.js";
import { features, jobs, progress } from "../state/known.js";
import { keepStatus } from "../state/live.js";
import { canRead, endingOf } from "../state/readable.js";
import { useStore } from "../state/store.js";
import { useResult } from "../state/use_result.js";
import { Act, Download, labelOf, ProgressBar, Word } from "./parts.js";
import { ViewerBox } from "./viewer_box.js";

export type SendOn = (feature: string, key: string, job: string, name: string) => void;

export function JobPane({ id, sendOn }: { id: string; sendOn: SendOn }) {
  const status = useStore(jobs, (table) => table.byId.get(id));
  const [unknown, setUnknown] = useState("");
  useEffect(() => {
    setUnknown("");
    if (jobs.get().byId.has(id)) return;
    gateway.status(id).then(keepStatus, (error: unknown) => setUnknown(wordsOf(error)));
  }, [id]);
  if (!status) return <p class="empty">{unknown || `asking about job ${id} ...`}</p>;
  return <KnownJob key={id} status={status} sendOn={sendOn} />;
}

function KnownJob({ status, sendOn }: { status: Status; sendOn: SendOn }) {
  const heard = useStore(progress, (known) => known.get(status.job_id));
  const { result, wrong } = useResult(status);
  const ended = hasEnded(status.status);
  return (
    <section class="job-pane" aria-label={`Job ${labelOf(status)}`} data-status={status.status}>
      <header>
        <h2>{labelOf(status)}</h2>
        <Word status={status.status} />
        <ProgressBar status={status} progress={heard} />
        {!ended && <Act words="Cancel" act={async () => keepStatus(await gateway.cancel(status.job_id))} />}
        <p class="help">
          {status.feature.replace(/_/g, " ")}
          {status.adapter_id && ` by ${status.adapter_id}`}
          {status.agent_id && ` on ${status.agent_id}`} · job <a href={`#/queue/${status.job_id}`}>{status.job_id}</a>
        </p>
      </header>
      {wrong && <p class="wrong">the result is not there: {wrong}</p>}
      {!result && !wrong && (!ended || status.status === "succeeded") && (
        <p class="welcome">{ended ? "fetching the result ..." : "The result appears here. You may leave: the job goes on."}</p>
      )}
      {ended && status.status !== "succeeded" && <Failed status={status} />}
      {result?.status === "succeeded" && <Done result={result} sendOn={sendOn} />}
    </section>
  );
}

export function Failed({ status }: { status: Status }) {
  const { error } = status;
  return (
    <div class="failure" role="alert">
      <p>
        {error ? `${error.message}` : (status.reason ?? "it did not end with a result")}
        {error?.field && ` (${error.field})`}
        {error && <small> {error.code}</small>}
      </p>
      {error?.attempts && error.attempts.length > 1 && (
        <ol>
          {error.attempts.map((each) => (
            <li key={each.attempt}>
              {each.agent_id}: {each.code}, {each.message}
            </li>
          ))}
        </ol>
      )}
      <Act
        words="Try again"
        act={async () => {
          const again = await gateway.retry(status.job_id);
          keepStatus(again);
          return `goes on as ${again.job_id}`;
        }}
      />
    </div>
  );
}

function Done({ result, sendOn }: { result: Result; sendOn: SendOn }) {
  const offered = useStore(features);
  const main = mainArtifact(result);
  const [looked, setLooked] = useState<Artifact | null>(main);
  const shownFile = looked ?? main;
  const remarks = remarksOf(result);
  const mesh = shownFile && MESH_ENDINGS.includes(endingOf(shownFile.name)) ? shownFile : null;
  return (
    <>
      {shownFile && canRead(shownFile.name) ? (
        <ViewerBox job={result.job_id} name={shownFile.name} />
      ) : (
        <p class="empty">{shownFile ? `${shownFile.name} cannot be shown here, only downloaded` : "this job made no file"}</p>
      )}
      {remarks.length > 0 && (
        <ul class="remarks" aria-label="What was ignored or lost">
          {remarks.map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ul>
      )}
      {mesh && <Next job={result.job_id} name={mesh.name} offered={offered} sendOn={sendOn} />}
      <ul class="files" aria-label="Files">
        <li>Download</li>
        {result.artifacts.map((each) => (
          <li key={each.name}>
            <Download job={result.job_id} name={each.name} size={each.size} />
            {canRead(each.name) && each !== shownFile && (
              <button type="button" class="quiet" onClick={() => setLooked(each)}>
                show
              </button>
            )}
          </li>
        ))}
      </ul>
      <Facts result={result} />
    </>
  );
}

/** What a mesh can be given to, the usual next steps first. */
const STEPS: [string, string][] = [
  ["text_to_texture", "Texture by words"],
  ["image_to_texture", "Texture by a photograph"],
  ["mesh_segmentation", "Parts"],
  ["part_completion", "Complete parts"],
  ["auto_rig", "Rig"],
  ["mesh_retopology", "Retopology"],
  ["uv_unwrapping", "UV unwrap"],
  ["mesh_simplification", "Simplify"],
  ["mesh_conversion", "Convert"],
];

function Next({ job, name, offered, sendOn }: { job: string; name: string; offered: Feature[]; sendOn: SendOn }) {
  const known = new Map(STEPS);
  const steps = offered
    .filter((each) => each.adapters.length > 0)
    .flatMap((each) => {
      const field = fieldsOf(each, "").find((one) => one.kind === "files" && one.accepts === "mesh");
      return field ? [{ feature: each.feature, key: field.key, words: known.get(each.feature) ?? each.feature.replace(/_/g, " ") }] : [];
    });
  const place = (feature: string) => (known.has(feature) ? STEPS.findIndex(([each]) => each === feature) : STEPS.length);
  steps.sort((a, b) => place(a.feature) - place(b.feature));
  if (steps.length === 0) return null;
  return (
    <div class="next" role="group" aria-label={`Send ${name} on to`}>
      <span>Send on to</span>
      {steps.map((each) => (
        <button key={each.feature} type="button" onClick={() => sendOn(each.feature, each.key, job, name)}>
          {each.words}
        </button>
      ))}
    </div>
  );
}

function Facts({ result }: { result: Result }) {
  const { queued_s, load_s, run_s } = result.timings;
  const times = [
    ["waited", queued_s],
    ["loaded the model", load_s],
    ["ran", run_s],
  ] as const;
  const facts = factsOf(result);
  return (
    <details class="more">
      <summary>
        About this result
        {run_s !== null && ` (${secondsInWords(run_s)})`}
      </summary>
      <table class="facts">
        <tbody>
          {result.cached_from && (
            <tr>
              <th scope="row">taken from</th>
              <td>job {result.cached_from}, which was the same</td>
            </tr>
          )}
          {times.map(([words, seconds]) =>
            seconds === null ? null : (
              <tr key={words}>
                <th scope="row">{words}</th>
                <td>{secondsInWords(seconds)}</td>
              </tr>
            ),
          )}
          {facts.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{value}</td>
            </tr>
          ))}
          <tr>
            <th scope="row">files</th>
            <td>{bytesInWords(result.artifacts.reduce((sum, each) => sum + each.size, 0))}</td>
          </tr>
        </tbody>
      </table>
    </details>
  );
}
