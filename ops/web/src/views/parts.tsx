/** Small things that several views show. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { artifact, artifactPath } from "../api/gateway.js";
import { address, token, wordsOf } from "../api/http.js";
import { hasEnded, type Progress, type Status } from "../api/types.js";
import { bytesInWords } from "../state/facts.js";
import { jobs } from "../state/known.js";
import { labelIn } from "../state/labels.js";

export function Word({ status }: { status: string }) {
  return <span class={`word word-${status}`}>{status}</span>;
}

export function labelOf(status: Status): string {
  return labelIn(jobs.get(), status);
}

export function ProgressBar({ status, progress }: { status: Status; progress: Progress | undefined }) {
  if (hasEnded(status.status)) return null;
  const running = status.status === "running" || status.status === "awarded";
  // A model that loads says 0 all the while.
  const fraction = running && progress?.fraction ? progress.fraction : null;
  const stage = running ? (progress?.message ?? progress?.stage ?? "running") : (status.reason ?? "waiting");
  return (
    <span class="progress">
      {running && (fraction === null ? <progress aria-label={stage} /> : <progress max={1} value={fraction} aria-label={stage} />)}
      <span>
        {fraction !== null && `${Math.round(fraction * 100)} % `}
        {stage}
      </span>
    </span>
  );
}

/** A button for what the gateway may refuse; its words stand beside it then. */
export function Act({ words, act, sure, quiet }: { words: string; act: () => Promise<string | void>; sure?: string; quiet?: boolean }) {
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState(false);
  const [said, setSaid] = useState<{ text: string; wrong: boolean } | null>(null);
  const press = async () => {
    if (sure && !asked) {
      setAsked(true);
      return;
    }
    setAsked(false);
    setBusy(true);
    setSaid(null);
    try {
      const text = await act();
      if (text) setSaid({ text, wrong: false });
    } catch (error) {
      setSaid({ text: wordsOf(error), wrong: true });
    } finally {
      setBusy(false);
    }
  };
  return (
    <span class="act">
      <button type="button" class={asked ? "danger" : quiet ? "quiet" : ""} disabled={busy} onClick={() => void press()} onBlur={() => setAsked(false)}>
        {asked ? sure : words}
      </button>
      <span role="status" class={said?.wrong ? "wrong" : "help"}>
        {said?.text ?? ""}
      </span>
    </span>
  );
}

/** With a token a file is fetched here, since an address would show the token. */
export function Download({ job, name, size, children }: { job: string; name: string; size?: number; children?: ComponentChildren }) {
  const [wrong, setWrong] = useState("");
  const fetchIt = async (event: Event) => {
    if (!token()) return;
    event.preventDefault();
    try {
      const here = URL.createObjectURL(await artifact(job, name));
      const link = document.createElement("a");
      link.href = here;
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(here), 60_000);
    } catch (error) {
      setWrong(wordsOf(error));
    }
  };
  return (
    <a href={address(artifactPath(job, name))} download={name} onClick={(event) => void fetchIt(event)}>
      {children ?? name}
      {size !== undefined && <small> {bytesInWords(size)}</small>}
      {wrong && <span class="wrong"> {wrong}</span>}
    </a>
  );
}

// Made once: to make a formatter takes longer than to draw a row.
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });

export function timeOf(at: string | number | null | undefined): string {
  if (!at) return "";
  const date = new Date(at);
  const today = new Date().toDateString() === date.toDateString();
  return (today ? TIME : DAY_AND_TIME).format(date);
}
