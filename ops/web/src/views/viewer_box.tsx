/** A viewer of one file of a result. Its script is fetched when the first one is looked at. */
import { useEffect, useRef, useState } from "preact/hooks";
import * as gateway from "../api/gateway.js";
import { address, wordsOf } from "../api/http.js";
import type { Viewer } from "../viewer/viewer.js";
import type { ViewerScript } from "../viewer/index.js";

let fetched: Promise<ViewerScript> | null = null;

function viewerScript(): Promise<ViewerScript> {
  fetched ??= new Promise<ViewerScript>((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address(`viewer.js?v=${__VIEWER__}`);
    script.onload = () => (globalThis.pocket3dViewer ? resolve(globalThis.pocket3dViewer) : reject(new Error("the viewer did not start")));
    script.onerror = () => {
      fetched = null;
      script.remove();
      reject(new Error("the viewer could not be fetched"));
    };
    document.head.append(script);
  });
  return fetched;
}

/** One viewer for all results: a WebGL context and its light take long to make, and browsers allow few of them. */
let kept: Viewer | null = null;

export function ViewerBox({ job, name }: { job: string; name: string }) {
  const place = useRef<HTMLDivElement>(null);
  const [wrong, setWrong] = useState("");

  useEffect(() => {
    const abort = new AbortController();
    setWrong("");
    const show = async () => {
      try {
        const [script, blob] = await Promise.all([viewerScript(), gateway.artifact(job, name, abort.signal)]);
        const bytes = await blob.arrayBuffer();
        if (abort.signal.aborted || !place.current) return;
        if (kept) place.current.append(kept.element);
        else kept = script.createViewer(place.current);
        await kept.load(bytes, name);
      } catch (error) {
        if (!abort.signal.aborted) setWrong(wordsOf(error));
      }
    };
    void show();
    return () => abort.abort();
  }, [job, name]);

  return (
    <div class="viewer-box">
      <div ref={place} class="viewer-place" data-job={job} />
      {wrong && (
        <p role="alert" class="wrong">
          {name} is not shown: {wrong}
        </p>
      )}
    </div>
  );
}
