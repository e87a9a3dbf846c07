/** The viewer: a stage, a bar of buttons, statistics and parts. Plain DOM, so that one file can show itself with it. */
import { partsOf, statisticsOf, type Part, type Statistics } from "./inspect.js";
import { Looks, partColour, type Look } from "./looks.js";
import { readModel } from "./model.js";
import { Stage } from "./stage.js";
import { wearStyles } from "./styles.js";

const LOOKS: [Look, string][] = [
  ["painted", "With textures"],
  ["clay", "Without textures"],
  ["parts", "Colour by part"],
  ["normals", "Normals"],
  ["uv", "Texture coordinates"],
];
const LISTED_PARTS = 200;

export interface Viewer {
  readonly element: HTMLElement;
  /** Shows a file; throws what the readers throw, and leaves the viewer empty then. */
  load(bytes: ArrayBuffer, name: string): Promise<Statistics>;
  /** A PNG of what is seen. */
  snapshot(width?: number): Promise<Blob>;
  dispose(): void;
}

export function createViewer(container: HTMLElement): Viewer {
  wearStyles();
  return new Panel(container);
}

class Panel implements Viewer {
  readonly element = make("section", "p3v");
  private readonly stage: Stage;
  private readonly bar = make("div", "p3v-bar");
  private readonly side = make("div", "p3v-side");
  private readonly said = make("p", "p3v-said");
  private readonly look = document.createElement("select");
  private readonly toggles = new Map<string, HTMLButtonElement>();
  private looks: Looks | null = null;

  constructor(container: HTMLElement) {
    this.element.setAttribute("aria-label", "3D viewer");
    const place = make("div", "p3v-stage");
    this.element.append(this.bar, place, this.said, this.side);
    container.append(this.element);
    try {
      this.stage = new Stage(place);
    } catch (error) {
      this.element.remove();
      throw new Error("this browser has no WebGL, which the viewer needs; the files can be downloaded", { cause: error });
    }
    this.stage.canvas.setAttribute("role", "img");
    this.said.setAttribute("role", "status");
    this.side.hidden = true;
    this.fillBar();
    this.element.addEventListener("keydown", (event) => this.key(event));
  }

  async load(bytes: ArrayBuffer, name: string): Promise<Statistics> {
    this.empty();
    this.said.textContent = `reading ${name} ...`;
    try {
      const model = await readModel(bytes, name);
      this.stage.show(model);
      const parts = partsOf(model.root);
      this.looks = new Looks(parts);
      const found = statisticsOf(model, bytes.byteLength);
      this.fillSide(found, parts, model.notes);
      this.enable(found);
      // Whoever made bones wants to see them.
      if (found.bones > 0) this.toggles.get("s")!.click();
      this.stage.canvas.setAttribute(
        "aria-label",
        `${name}: ${count(found.triangles)} triangles in ${found.parts} parts. Arrow keys turn it, plus and minus zoom, 0 resets.`,
      );
      this.element.dataset["loaded"] = name;
      this.said.textContent = "";
      return found;
    } catch (error) {
      this.empty();
      this.said.textContent = `${name} cannot be shown: ${error instanceof Error ? error.message : String(error)}`;
      throw error;
    }
  }

  snapshot(width = 1024): Promise<Blob> {
    return this.stage.snapshot(width);
  }

  dispose(): void {
    this.looks?.dispose();
    this.stage.dispose();
    this.element.remove();
  }

  private empty(): void {
    this.looks?.dispose();
    this.looks = null;
    this.stage.clear();
    this.side.hidden = true;
    delete this.element.dataset["loaded"];
    this.look.value = "painted";
    for (const button of this.toggles.values()) button.setAttribute("aria-pressed", "false");
  }

  private fillBar(): void {
    this.look.setAttribute("aria-label", "How the surface is drawn");
    for (const [value, words] of LOOKS) this.look.append(new Option(words, value));
    this.look.addEventListener("change", () => {
      this.looks?.show(this.look.value as Look);
      this.stage.draw();
    });
    this.bar.append(this.look);
    this.toggle("Wireframe", "w", (on) => {
      this.looks?.wireframe(on);
      this.stage.draw();
    });
    this.toggle("Skeleton", "s", (on) => this.stage.skeleton(on));
    this.toggle("Play", "p", (on) => this.stage.play(on));
    this.toggle("Turn", "r", (on) => this.stage.turn(on));
    const home = make("button") as HTMLButtonElement;
    home.type = "button";
    home.textContent = "Reset view";
    home.title = "key 0, on the picture";
    home.addEventListener("click", () => this.stage.home());
    this.bar.append(home);
  }

  private toggle(words: string, key: string, act: (on: boolean) => void): void {
    const button = make("button") as HTMLButtonElement;
    button.type = "button";
    button.textContent = words;
    button.title = `key ${key}`;
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-keyshortcuts", key);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      act(on);
    });
    this.toggles.set(key, button);
    this.bar.append(button);
  }

  private key(event: KeyboardEvent): void {
    if (event.target instanceof HTMLSelectElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = this.toggles.get(event.key.toLowerCase());
    if (button && !button.disabled) button.click();
  }

  private enable(found: Statistics): void {
    this.toggles.get("s")!.disabled = found.bones === 0;
    this.toggles.get("p")!.disabled = found.animations === 0;
  }

  private fillSide(found: Statistics, parts: Part[], notes: string[]): void {
    const details = make("details") as HTMLDetailsElement;
    const summary = make("summary");
    summary.textContent = `${count(found.triangles)} triangles, ${several(found.parts, "part")}${found.bones > 0 ? `, ${several(found.bones, "bone")}` : ""}${notes.length > 0 ? ", not all is shown" : ""}`;
    const largest = found.textures.reduce((side, each) => Math.max(side, each.width, each.height), 0);
    const table = make("table");
    for (const [what, value] of [
      ["triangles", count(found.triangles)],
      ["vertices", count(found.vertices)],
      ["parts", count(found.parts)],
      ["materials", count(found.materials)],
      ["textures", found.textures.length === 0 ? "0" : `${found.textures.length}, up to ${largest} px`],
      ["bones", count(found.bones)],
      ["animations", count(found.animations)],
      ["width x height x depth", found.size.map((each) => each.toPrecision(3)).join(" x ")],
      ["file", `${(found.bytes / 1e6).toFixed(2)} MB`],
    ] as const) {
      const row = make("tr");
      const head = make("th");
      head.setAttribute("scope", "row");
      head.textContent = what;
      const cell = make("td");
      cell.textContent = value;
      row.append(head, cell);
      table.append(row);
    }
    details.append(summary, table);
    if (parts.length > 1) details.append(this.partList(parts));
    for (const note of notes.slice(0, 5)) {
      const line = make("p");
      line.textContent = `not shown: ${note}`;
      details.append(line);
    }
    this.side.replaceChildren(details);
    this.side.hidden = false;
  }

  private partList(parts: Part[]): HTMLElement {
    const list = make("ul");
    list.setAttribute("aria-label", "Parts that are shown");
    parts.slice(0, LISTED_PARTS).forEach((part, at) => {
      const item = make("li");
      const label = make("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = true;
      box.addEventListener("change", () => {
        part.mesh.visible = box.checked;
        this.stage.draw();
      });
      const swatch = make("span", "p3v-swatch");
      swatch.style.background = partColour(at);
      label.append(box, swatch, `${part.name} (${count(part.triangles)})`);
      item.append(label);
      list.append(item);
    });
    if (parts.length > LISTED_PARTS) {
      const item = make("li");
      item.textContent = `and ${parts.length - LISTED_PARTS} more`;
      list.append(item);
    }
    return list;
  }
}

function make(tag: string, className = ""): HTMLElement {
  const element = document.createElement(tag);
  if (className) element.className = className;
  return element;
}

function several(many: number, what: string): string {
  return `${count(many)} ${what}${many === 1 ? "" : "s"}`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
