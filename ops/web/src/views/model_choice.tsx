/** Which model makes it, in which size, under which licence. */
import type { AdapterOffer, Feature, FeatureAdapter } from "../api/types.js";
import { draft } from "../forms/draft.js";
import { offers } from "../state/fleet.js";
import { fleet } from "../state/known.js";
import { useStore } from "../state/store.js";

export function ModelChoice({ feature }: { feature: Feature }) {
  const now = useStore(draft);
  const members = useStore(fleet);
  const known = offers(members);
  const able = feature.adapters.filter((each) => each.available);
  const chosen = feature.adapters.find((each) => each.adapter_id === now.adapter) ?? (able.length === 1 ? able[0] : undefined);
  const change = (next: Partial<typeof now>) => draft.update((value) => ({ ...value, ...next }));
  return (
    <details class="more">
      <summary>
        Model: {chosen ? chosen.adapter_id : able.length > 0 ? `the best of ${able.length}` : "none can run now"}
        {chosen && <small> {terms(chosen, known.get(chosen.adapter_id))}</small>}
      </summary>
      <div class="field">
        <label for="adapter">Model</label>
        <select id="adapter" value={now.adapter} onChange={(event) => change({ adapter: event.currentTarget.value, variant: "" })}>
          <option value="">whichever is free first</option>
          {feature.adapters.map((each) => (
            <option key={each.adapter_id} value={each.adapter_id}>
              {each.adapter_id}
              {each.available ? "" : " (cannot run now)"}
            </option>
          ))}
        </select>
      </div>
      <ul class="licences" aria-label="Licences">
        {(chosen ? [chosen] : feature.adapters).map((each) => (
          <Licence key={each.adapter_id} adapter={each} offer={known.get(each.adapter_id)} />
        ))}
      </ul>
      {chosen?.variants && chosen.variants.length > 0 && (
        <div class="field">
          <label for="variant">Size</label>
          <select id="variant" value={now.variant} onChange={(event) => change({ variant: event.currentTarget.value })}>
            <option value="">the best that can start</option>
            {chosen.variants.map((each) => (
              <option key={each.name} value={each.name}>
                {each.name} ({each.vram_mb} MB)
              </option>
            ))}
          </select>
        </div>
      )}
      <div class="field">
        <label for="priority">Priority</label>
        <select id="priority" value={now.priority} onChange={(event) => change({ priority: event.currentTarget.value })}>
          {["high", "normal", "low"].map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
      </div>
      <div class="field check">
        <label for="commercial">Only models whose licence allows commercial use</label>
        <input
          id="commercial"
          type="checkbox"
          checked={now.commercialOnly}
          onChange={(event) => change({ commercialOnly: event.currentTarget.checked })}
        />
      </div>
    </details>
  );
}

function terms(adapter: FeatureAdapter, offer: AdapterOffer | undefined): string {
  const commercial = adapter.commercial ?? offer?.commercial ?? "unclear";
  const words: Record<string, string> = {
    yes: "commercial use allowed",
    no: "no commercial use",
    unclear: "commercial use: read its licence",
  };
  const excluded = adapter.excluded_territories ?? offer?.excluded_territories ?? [];
  const shown = excluded.length > 6 ? `${excluded.slice(0, 6).join(", ")} and ${excluded.length - 6} more` : excluded.join(", ");
  return (words[commercial] ?? commercial) + (excluded.length > 0 ? `; not in ${shown}` : "");
}

function Licence({ adapter, offer }: { adapter: FeatureAdapter; offer: AdapterOffer | undefined }) {
  const text = licenceText(adapter.licence ?? adapter.license);
  const memory = offer && offer.vram_mb > 0 ? `, ${offer.vram_mb} MB` : "";
  return (
    <li>
      <strong>{adapter.adapter_id}</strong>
      {text && `: ${text}`} ({terms(adapter, offer)}
      {memory}){!adapter.available && offer?.reason && <span class="wrong"> {offer.reason}</span>}
    </li>
  );
}

/** A text, or an object that has one for the code and one for the weights. */
function licenceText(licence: unknown): string {
  if (typeof licence === "string") return licence;
  if (typeof licence !== "object" || licence === null) return "";
  return Object.entries(licence)
    .filter(([, value]) => typeof value === "string" && value !== "")
    .map(([key, value]) => `${key.replace(/_/g, " ")} ${String(value)}`)
    .join("; ");
}
