/** The fields of a form, each with its label, its help and what it takes. */
import { useId, useRef } from "preact/hooks";
import { IMAGE_ENDINGS, MESH_ENDINGS, type Field, type Source, type Value, type Values } from "./fields.js";
import { jobs } from "../state/known.js";
import { labelIn } from "../state/labels.js";
import { useStore } from "../state/store.js";

interface FormProps {
  fields: Field[];
  values: Values;
  wrong: { key: string; message: string } | null;
  enter: (key: string, value: Value) => void;
}

export function FieldSet({ fields, values, wrong, enter }: FormProps) {
  const first = fields.filter((each) => each.required || each.kind === "files" || each.long);
  const rest = fields.filter((each) => !first.includes(each));
  const row = (field: Field) => (
    <FieldRow
      key={field.key}
      field={field}
      value={values[field.key]}
      wrong={wrong?.key === field.key ? wrong.message : ""}
      enter={(value) => enter(field.key, value)}
    />
  );
  return (
    <>
      {first.map(row)}
      {rest.length > 0 && (
        <details class="more" open={rest.some((each) => each.key === wrong?.key) || undefined}>
          <summary>More settings ({rest.length})</summary>
          {rest.map(row)}
        </details>
      )}
    </>
  );
}

interface RowProps {
  field: Field;
  value: Value | undefined;
  wrong: string;
  enter: (value: Value) => void;
}

function FieldRow({ field, value, wrong, enter }: RowProps) {
  const id = useId();
  const help = [field.help, range(field)].filter(Boolean).join("; ");
  const common = {
    id,
    "aria-describedby": `${id}-help`,
    "aria-invalid": wrong ? (true as const) : undefined,
    "aria-required": field.required || undefined,
  };
  const text = typeof value === "string" ? value : "";
  let input;
  if (field.kind === "files") return <FileRow id={id} field={field} value={value} wrong={wrong} enter={enter} />;
  if (field.kind === "yes-no") {
    const on = value === undefined ? field.fallback === true : value === true;
    input = <input {...common} type="checkbox" checked={on} onChange={(event) => enter(event.currentTarget.checked)} />;
  } else if (field.kind === "choice") {
    input = (
      <select {...common} value={text} onChange={(event) => enter(event.currentTarget.value)}>
        <option value="">{field.required ? "choose ..." : `usual${shown(field.fallback)}`}</option>
        {field.choices.map((each) => (
          <option key={String(each)} value={String(each)}>
            {String(each)}
          </option>
        ))}
      </select>
    );
  } else if (field.long) {
    input = <textarea {...common} rows={3} maxLength={10_000} value={text} onInput={(event) => enter(event.currentTarget.value)} />;
  } else {
    const number = field.kind === "number" || field.kind === "integer";
    input = (
      <input
        {...common}
        type="text"
        inputMode={field.kind === "integer" ? "numeric" : number ? "decimal" : "text"}
        autocomplete="off"
        value={text}
        placeholder={field.fallback === null ? "" : String(field.fallback)}
        onInput={(event) => enter(event.currentTarget.value)}
      />
    );
  }
  return (
    <div class={field.kind === "yes-no" ? "field check" : "field"}>
      <label for={id}>
        {field.label}
        {field.required && <span class="needed"> (needed)</span>}
      </label>
      {input}
      <Help id={`${id}-help`} text={help} wrong={wrong} />
    </div>
  );
}

/** Long help, such as a list of all words that a model knows, is folded. */
function Help({ id, text, wrong }: { id: string; text: string; wrong: string }) {
  const cut = text.length > 130 ? text.slice(0, text.lastIndexOf(" ", 110)) : text;
  return (
    <div id={id} class="help">
      {wrong && <strong class="wrong">{wrong} </strong>}
      {cut === text ? (
        text
      ) : (
        <details>
          <summary>{cut} ...</summary>
          {text.slice(cut.length)}
        </details>
      )}
    </div>
  );
}

function FileRow({ id, field, value, wrong, enter }: RowProps & { id: string }) {
  const input = useRef<HTMLInputElement>(null);
  const sources = Array.isArray(value) ? value : [];
  const endings = field.accepts === "image" ? IMAGE_ENDINGS : field.accepts === "mesh" ? MESH_ENDINGS : [];
  const add = (files: FileList | null) => {
    if (files && files.length > 0) enter([...files].map((local) => ({ local })));
  };
  return (
    <div class="field">
      <label for={id}>
        {field.label}
        {field.required && <span class="needed"> (needed)</span>}
      </label>
      <ul class="chosen-files">
        {sources.map((each, at) => (
          <li key={at}>
            <Chosen source={each} />
            <button
              type="button"
              class="quiet"
              aria-label={`Take ${nameOf(each)} away`}
              onClick={() => enter(sources.filter((_, other) => other !== at))}
            >
              ✕
            </button>
          </li>
        ))}
      </ul>
      <input
        ref={input}
        id={id}
        type="file"
        aria-required={(field.required && sources.length === 0) || undefined}
        aria-invalid={wrong ? true : undefined}
        multiple={field.accepts === "image"}
        accept={endings.map((each) => `.${each}`).join(",")}
        aria-describedby={`${id}-help`}
        onChange={(event) => {
          add(event.currentTarget.files);
          event.currentTarget.value = "";
        }}
      />
      <Help id={`${id}-help`} text={field.help || "or drop it anywhere on this page"} wrong={wrong} />
    </div>
  );
}

function nameOf(source: Source): string {
  return "local" in source ? source.local.name : source.name;
}

const previews = new WeakMap<File, string>();

function Chosen({ source }: { source: Source }) {
  const made = useStore(jobs, (table) => ("result" in source ? table.byId.get(source.result) : undefined));
  if ("result" in source) {
    return (
      <span title={`job ${source.result}`}>
        {source.name} <small>of {made ? labelIn(jobs.get(), made) : `job ${source.result}`}</small>
      </span>
    );
  }
  const { local } = source;
  if (!local.type.startsWith("image/")) return <span>{local.name}</span>;
  let preview = previews.get(local);
  if (!preview) previews.set(local, (preview = URL.createObjectURL(local)));
  return (
    <span>
      <img src={preview} alt="" /> {local.name}
    </span>
  );
}

function shown(fallback: unknown): string {
  return fallback === null || fallback === undefined ? "" : `: ${String(fallback)}`;
}

function range(field: Field): string {
  if (field.minimum !== null && field.maximum !== null) return `${field.minimum} to ${field.maximum}`;
  if (field.minimum !== null) return `at least ${field.minimum}`;
  return field.maximum !== null ? `at most ${field.maximum}` : "";
}
