/** Presets: a few examples, and what people keep. */
import { useState } from "preact/hooks";
import { draft } from "../forms/draft.js";
import { dropPreset, EXAMPLES, keepPreset, presets, type Preset } from "../forms/presets.js";
import { useStore } from "../state/store.js";

export function PresetBar({ feature }: { feature: string }) {
  const kept = useStore(presets).filter((each) => each.feature === feature);
  const examples = EXAMPLES.filter((each) => each.feature === feature);
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const apply = (preset: Preset) => draft.update((now) => ({ ...now, adapter: preset.adapter, values: { ...now.values, ...preset.values } }));
  const keep = () => {
    if (name.trim()) keepPreset(name.trim(), { ...draft.get(), feature });
    setName("");
    setNaming(false);
  };
  return (
    <div class="presets" role="group" aria-label="Presets">
      {examples.map((each) => (
        <button key={each.name} type="button" class="chip" onClick={() => apply(each)}>
          {each.name}
        </button>
      ))}
      {kept.map((each) => (
        <span key={each.name} class="chip-pair">
          <button type="button" class="chip" onClick={() => apply(each)}>
            {each.name}
          </button>
          <button type="button" class="quiet" aria-label={`Drop the preset ${each.name}`} onClick={() => dropPreset(each)}>
            ✕
          </button>
        </span>
      ))}
      {naming ? (
        <span class="chip-pair">
          <input
            aria-label="Name of the preset"
            value={name}
            maxLength={60}
            onInput={(event) => setName(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") setNaming(false);
              if (event.key === "Enter") {
                event.preventDefault();
                keep();
              }
            }}
          />
          <button type="button" onClick={keep}>
            Keep
          </button>
        </span>
      ) : (
        <button type="button" class="chip quiet" onClick={() => setNaming(true)}>
          Keep as a preset ...
        </button>
      )}
    </div>
  );
}
