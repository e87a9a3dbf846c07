/** Make: choose what to make, fill in its form, watch it, look at it, send it on. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, wordsOf } from "../api/http.js";
import type { Feature } from "../api/types.js";
import { chooseFeature, draft, enter, submitDraft } from "../forms/draft.js";
import { fieldsOf, IMAGE_ENDINGS, Invalid, MESH_ENDINGS } from "../forms/fields.js";
import { FieldSet } from "../forms/form.js";
import { offeredToMake, titleOf } from "../forms/offered.js";
import { announcement, features, selected } from "../state/known.js";
import { keepStatus } from "../state/live.js";
import { useStore } from "../state/store.js";
import { takeFiles } from "./drop_zone.js";
import { Gallery } from "./gallery.js";
import { JobPane } from "./job_pane.js";
import { ModelChoice } from "./model_choice.js";
import { PresetBar } from "./preset_bar.js";

export function Make() {
  const offered = useStore(features);
  const list = useMemo(() => offeredToMake(offered), [offered]);
  const now = useStore(draft);
  const id = useStore(selected);
  const [sent, setSent] = useState(0);

  useEffect(() => {
    if (!now.feature && list[0]) chooseFeature(list[0].feature);
  }, [list, now.feature]);

  // The form of what a result was sent on to: what has to be entered there is next.
  useEffect(() => {
    if (sent === 0) return;
    const form = document.querySelector<HTMLElement>("#make-form");
    form?.scrollIntoView({ block: "start" });
    form?.querySelector<HTMLElement>("form textarea, form [aria-required=true], form button[type=submit]")?.focus({ preventScroll: true });
  }, [sent]);

  const sendOn = (feature: string, key: string, job: string, name: string) => {
    chooseFeature(feature);
    enter(key, [{ result: job, name }]);
    announcement.set(`${name} is in the form: ${titleOf(feature)}`);
    setSent(sent + 1);
  };

  const feature = list.find((each) => each.feature === now.feature);
  return (
    <div class="make">
      <section class="panel" id="make-form" aria-label="What to make">
        <div class="field">
          <label for="feature">What to make</label>
          <select id="feature" value={now.feature} onChange={(event) => chooseFeature(event.currentTarget.value)}>
            {list.map((each) => (
              <option key={each.feature} value={each.feature}>
                {titleOf(each.feature)}
              </option>
            ))}
          </select>
        </div>
        {feature ? <MakeForm feature={feature} /> : <p class="empty">No model answers yet. {list.length === 0 && "Start an agent: pocket3d up"}</p>}
      </section>
      <section id="result" class="result" aria-label="Result">
        {id ? (
          <JobPane id={id} sendOn={sendOn} />
        ) : (
          <div class="welcome">
            <h2>Drop a photograph anywhere on this page</h2>
            <p>or describe a thing in words and press Make. The result appears here; then texture it, find its parts, rig it, convert it.</p>
            <p>
              <PhotographButton offered={list} />
            </p>
          </div>
        )}
      </section>
      <section class="all-results" aria-labelledby="all-results">
        <h2 id="all-results">All results</h2>
        <Gallery />
      </section>
    </div>
  );
}

/** For whom dropping is no way: a phone, the keyboard. */
function PhotographButton({ offered }: { offered: Feature[] }) {
  const input = useRef<HTMLInputElement>(null);
  const [refused, setRefused] = useState("");
  return (
    <>
      <button type="button" onClick={() => input.current?.click()}>
        Choose a photograph or a mesh
      </button>
      <input
        ref={input}
        class="hidden"
        type="file"
        tabIndex={-1}
        aria-label="A photograph or a mesh"
        accept={[...IMAGE_ENDINGS, ...MESH_ENDINGS].map((each) => `.${each}`).join(",")}
        onChange={(event) => {
          const { taken, words } = takeFiles([...(event.currentTarget.files ?? [])], offered);
          event.currentTarget.value = "";
          setRefused(taken ? "" : words);
          announcement.set(words);
          if (taken) document.querySelector("#make-form")?.scrollIntoView({ block: "start" });
        }}
      />
      {refused && <span class="wrong"> {refused}</span>}
    </>
  );
}

function MakeForm({ feature }: { feature: Feature }) {
  const now = useStore(draft);
  const fields = useMemo(() => fieldsOf(feature, now.adapter), [feature, now.adapter]);
  const [wrong, setWrong] = useState<{ key: string; message: string } | null>(null);
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);

  // What is wrong stands beside its field, which may be out of sight.
  useEffect(() => {
    if (wrong?.key) document.querySelector<HTMLElement>("#make-form [aria-invalid]")?.focus();
  }, [wrong]);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setWrong(null);
    try {
      const status = await submitDraft({ ...now, feature: feature.feature }, fields, setSaid);
      keepStatus(status);
      selected.set(status.job_id);
      announcement.set(`job ${status.job_id} is ${status.status}`);
      setSaid("");
    } catch (error) {
      setSaid("");
      if (error instanceof Invalid) setWrong({ key: error.key, message: error.message });
      else if (error instanceof ApiError) {
        const key = error.field?.replace(/^inputs\./, "").replace(/[[.].*$/, "") ?? "";
        setWrong({ key: fields.some((each) => each.key === key) ? key : "", message: wordsOf(error) });
      } else throw error;
    } finally {
      setBusy(false);
    }
  };

  return (
    <form onSubmit={(event) => void submit(event)} noValidate>
      <PresetBar feature={feature.feature} />
      <FieldSet fields={fields} values={now.values} wrong={wrong} enter={enter} />
      <ModelChoice feature={feature} />
      {wrong && wrong.key === "" && (
        <p class="wrong" role="alert">
          {wrong.message}
        </p>
      )}
      <p class="submit">
        <button type="submit" class="primary" disabled={busy}>
          Make
        </button>
        <span role="status">{said}</span>
      </p>
    </form>
  );
}
