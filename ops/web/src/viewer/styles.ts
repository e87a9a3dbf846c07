/** The viewer brings its style along, so that it is one file. A constructed sheet needs no inline style. */
const CSS = `
.p3v { display: grid; grid-template: auto 1fr / 1fr; position: relative; min-height: 18rem; height: 100%;
  background: radial-gradient(circle at 50% 35%, #f7f8fa, #cfd5de); color: #14181f; border-radius: inherit;
  overflow: hidden; font: 14px/1.4 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) .p3v {
  background: radial-gradient(circle at 50% 35%, #39414f, #14181f); color: #eef1f6; } }
:root[data-theme="dark"] .p3v { background: radial-gradient(circle at 50% 35%, #39414f, #14181f); color: #eef1f6; }
.p3v-bar { display: flex; flex-wrap: wrap; gap: .3rem; padding: .5rem; z-index: 1; }
.p3v button, .p3v select { font: inherit; min-height: 2.1rem; padding: .15rem .6rem; border-radius: .45rem; color: inherit;
  border: 1px solid color-mix(in srgb, currentColor 35%, transparent); cursor: pointer;
  background: color-mix(in srgb, canvas 55%, transparent); }
.p3v select option { color: CanvasText; background: Canvas; }
.p3v button[aria-pressed="true"] { background: #1d5fd1; border-color: #1d5fd1; color: #fff; }
.p3v button:disabled { opacity: .45; cursor: default; }
.p3v :focus-visible { outline: 3px solid #4c8dff; outline-offset: 1px; }
.p3v-stage { position: absolute; inset: 0; }
.p3v-stage canvas { width: 100%; height: 100%; display: block; touch-action: none; }
.p3v-side { position: absolute; right: .5rem; bottom: .5rem; z-index: 1; max-width: min(22rem, calc(100% - 1rem));
  max-height: 60%; overflow: auto; border-radius: .5rem; padding: .3rem .6rem; font-size: 13px;
  background: color-mix(in srgb, canvas 82%, transparent); color: CanvasText; }
.p3v-side summary { cursor: pointer; min-height: 1.6rem; }
.p3v-side table { border-collapse: collapse; }
.p3v-side th { text-align: left; font-weight: 500; padding-right: 1rem; }
.p3v-side td { text-align: right; font-variant-numeric: tabular-nums; }
.p3v-side ul { list-style: none; margin: .2rem 0; padding: 0; }
.p3v-side label { display: flex; gap: .4rem; align-items: center; overflow-wrap: anywhere; min-height: 1.6rem; }
.p3v-swatch { width: .8rem; height: .8rem; border-radius: .2rem; flex: none; }
.p3v-said { position: absolute; inset: auto .5rem .5rem .5rem; z-index: 1; pointer-events: none; max-width: 45%; }
`;

let worn = false;

export function wearStyles(): void {
  if (worn) return;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  worn = true;
}
