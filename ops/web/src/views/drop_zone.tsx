/** Files dropped anywhere on the page, whichever view it shows: they go into the form that takes them. */
import { useEffect, useState } from "preact/hooks";
import type { Feature } from "../api/types.js";
import { chooseFeature, draft, enter } from "../forms/draft.js";
import { kindOfFile, placeFor } from "../forms/fields.js";
import { offeredToMake, titleOf } from "../forms/offered.js";
import { announcement, features } from "../state/known.js";

/** Puts files where they fit; says what became of them, and whether they found a place. */
export function takeFiles(files: File[], offered: Feature[]): { taken: boolean; words: string } {
  const fits = files.filter((each) => kindOfFile(each.name) !== "other");
  const [first] = fits;
  if (!first) return { taken: false, words: `${files[0]?.name ?? "that"} is neither a photograph (png, jpg, webp) nor a mesh that is known here` };
  const kind = kindOfFile(first.name) as "image" | "mesh";
  const place = placeFor(kind, offered, draft.get().feature);
  if (!place) return { taken: false, words: offered.length > 0 ? `no model here takes ${first.name}` : "no model answers yet: start an agent" };
  chooseFeature(place.feature);
  enter(place.key, fits.filter((each) => kindOfFile(each.name) === kind).map((local) => ({ local })));
  return { taken: true, words: `${first.name} is in the form: ${titleOf(place.feature)}` };
}

export function DropZone() {
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState("");

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
      const { taken, words } = takeFiles([...(event.dataTransfer?.files ?? [])], offeredToMake(features.get()));
      setRefused(taken ? "" : words);
      announcement.set(words);
      if (taken && !/^(#\/make)?$/.test(location.hash)) location.hash = "#/make";
    };
    addEventListener("dragover", drag);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", drag);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);

  return (
    <>
      {over && (
        <div class="drop-over" aria-hidden="true">
          Drop photographs or a mesh
        </div>
      )}
      {refused && (
        <div class="banner" role="alert">
          <span>{refused}</span>
          <button type="button" onClick={() => setRefused("")}>
            Close
          </button>
        </div>
      )}
    </>
  );
}
