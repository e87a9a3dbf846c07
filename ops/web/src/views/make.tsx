/** Make: choose what to make, fill in its form, watch it, look at it, send it on. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { ApiError, wordsOf } from "../api/http.js";
import type { Feature } from "../api/types.js";
import { chooseFeature, draft, enter, submitDraft } from "../forms/draft.js";
import { fieldsOf, Invalid, kindOfFile, placeFor } from "../forms/fields.js";
import { FieldSet } from "../forms/form.js";
import { announcement, features, selected } from "../state/known.js";
import { keepStatus } from "../state/live.js";
import { useStore } from "../state/store.js";
import { Gallery } from "./gallery.js";
import { JobPane } from "./job_pane.js";
import { ModelChoice } from "./model_choice.js";
import { PresetBar } from "./preset_bar.js";

const ORDER = [
  "text_to_mesh", "image_to_mesh", "multimodal_to_mesh", "image_to_splat", "text_to_texture", "image_to_texture",
  "mesh_segmentation", "part_completion", "auto_rig", "mesh_retopology", "uv_unwrapping", "mesh_simplification",
  "mesh_conversion",
];

function sorted(offered: Feature[]): Feature[] {
  const place = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return offered.filter((each) => each.adapters.length > 0 && each.feature !== "echo").sort((a, b) => place(a.feature) - place(b.feature));
}

/** Puts dropped files where they fit; says what became of them. */
function takeFiles(files: File[], offered: Feature[]): string {
  const fits = files.filter((each) => kindOfFile(each.name) !== "other");
  const [first] = fits;
  if (!first) return `${files[0]?.name ?? "that"} is neither a photograph nor a mesh that is known here`;
  const kind = kindOfFile(first.name) as "image" | "mesh";
  const place = placeFor(kind, offered, draft.get().feature);
  if (!place) return `no model here takes ${first.name}`;
  chooseFeature(place.feature);
  enter(place.key, fits.filter((each) => kindOfFile(each.name) === kind).map((local) => ({ local })));
  return `${first.name} is in the form of ${place.feature.replace(/_/g, " ")}`;
}

export function Make() {
  const offered = useStore(features);
  const list = useMemo(() => sorted(offered), [offered]);
  const now = useStore(draft);
  const id = useStore(selected);
  const [over, setOver] = useState(false);

  useEffect(() => {
    if (!now.feature && list[0]) chooseFeature(list[0].feature);
  }, [list, now.feature]);

  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const drag = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      announcement.set(takeFiles([...(event.dataTransfer?.files ?? [])], list));
    };
    addEventListener("dragover", drag);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", drag);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, [list]);

  const sendOn = (feature: string, key: string, job: string, name: string) => {
    chooseFeature(feature);
    enter(key, [{ result: job, name }]);
    announcement.set(`${name} is in the form of ${feature.replace(/_/g, " ")}`);
    const form = document.querySelector<HTMLElement>("#make-form");
    form?.scrollIntoView({ block: "start" });
    form?.querySelector<HTMLElement>("textarea, select, button[type=submit]")?.focus({ preventScroll: true });
  };

  const feature = list.find((each) => each.feature === now.feature);
  return (
    <div class="make">
      {over && (
        <div class="drop-over" aria-hidden="true">
          Drop photographs or a mesh
        </div>
      )}
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

const TITLES: Record<string, string> = {
  text_to_mesh: "A mesh from words",
  image_to_mesh: "A mesh from a photograph",
  multimodal_to_mesh: "A mesh from words and a photograph",
  image_to_splat: "Gaussian splats from a photograph",
  text_to_texture: "A texture from words",
  image_to_texture: "A texture from a photograph",
  mesh_segmentation: "The parts of a mesh",
  part_completion: "Parts made whole",
  auto_rig: "A skeleton and its skin",
  mesh_retopology: "Retopology",
  uv_unwrapping: "Texture coordinates",
  mesh_simplification: "A simpler mesh",
  mesh_conversion: "Another file format",
};

function titleOf(feature: string): string {
  return TITLES[feature] ?? feature.replace(/_/g, " ");
}

function MakeForm({ feature }: { feature: Feature }) {
  const now = useStore(draft);
  const fields = useMemo(() => fieldsOf(feature, now.adapter), [feature, now.adapter]);
  const [wrong, setWrong] = useState<{ key: string; message: string } | null>(null);
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);

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
      {wrong && (
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
