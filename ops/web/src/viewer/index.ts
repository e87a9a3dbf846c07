/**
 * The entry of `viewer.js`, one classic script: the page fetches it when the first mesh is looked at, and
 * `pocket3d view` puts it into a page of its own. It sets `globalThis.pocket3dViewer`.
 */
import { createViewer, type Viewer } from "./viewer.js";

export interface ShownFile {
  name: string;
  /** The file in base64. */
  base64: string;
}

/** Fills `container` with a viewer of one file; resolves when it is shown. */
async function show(container: HTMLElement, file: ShownFile): Promise<Viewer> {
  const viewer = createViewer(container);
  const bytes = Uint8Array.from(atob(file.base64), (letter) => letter.charCodeAt(0));
  await viewer.load(bytes.buffer, file.name);
  return viewer;
}

export interface ViewerScript {
  createViewer: typeof createViewer;
  show: typeof show;
}

declare global {
  var pocket3dViewer: ViewerScript | undefined;
}

globalThis.pocket3dViewer = { createViewer, show };
