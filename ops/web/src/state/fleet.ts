/** The fleet as its adverts tell it, and what happened between two of them. */
import type { AdapterOffer, Advert, Device } from "../api/types.js";

export interface FleetEvent {
  at: number;
  agent_id: string;
  kind: "loaded" | "unloaded" | "started" | "ended" | "joined" | "restarted" | "gone" | "draining" | "resumed" | "quarantined" | "restored";
  words: string;
  /** What was started or has ended. */
  job_id?: string;
}

export interface Member {
  advert: Advert;
  /** The last list that was sent; most adverts carry none. */
  adapters: AdapterOffer[];
  heard_at: number;
  gone: boolean;
}

export type Fleet = ReadonlyMap<string, Member>;

/** An agent says every second what it has; after so many milliseconds of silence it is shown as gone. */
export const SILENT_MS = 15_000;

export function withAdvert(fleet: Fleet, advert: Advert, now: number): [Fleet, FleetEvent[]] {
  const known = fleet.get(advert.agent_id);
  if (known && known.advert.incarnation === advert.incarnation && known.advert.seq > advert.seq) return [fleet, []];
  const next = new Map(fleet);
  next.set(advert.agent_id, { advert, adapters: advert.adapters ?? known?.adapters ?? [], heard_at: now, gone: false });
  return [next, known ? changes(known, advert, now) : [event(advert, now, "joined", "answers")]];
}

/** Whoever has said nothing for long while we listened: `since` is when that began, in ms. */
export function withSilence(fleet: Fleet, now: number, since: number): [Fleet, FleetEvent[]] {
  const silent = [...fleet.values()].filter((each) => !each.gone && now - Math.max(each.heard_at, since) > SILENT_MS);
  if (silent.length === 0) return [fleet, []];
  const next = new Map(fleet);
  for (const each of silent) next.set(each.advert.agent_id, { ...each, gone: true });
  return [next, silent.map((each) => event(each.advert, now, "gone", "is silent"))];
}

function changes(known: Member, advert: Advert, now: number): FleetEvent[] {
  const before = known.advert;
  if (before.incarnation !== advert.incarnation) return [event(advert, now, "restarted", "was started anew")];
  const found: FleetEvent[] = [];
  if (known.gone) found.push(event(advert, now, "joined", "answers again"));
  const resident = (each: Advert["residents"][number]) => `${each.adapter_id}@${each.device}#${each.pid}`;
  const was = new Set(before.residents.map(resident));
  const is = new Set(advert.residents.map(resident));
  for (const each of advert.residents) {
    if (!was.has(resident(each))) {
      found.push(event(advert, now, "loaded", `${each.adapter_id} on ${each.device}, ${each.vram_mb} MB`));
    }
  }
  for (const each of before.residents) {
    if (!is.has(resident(each))) found.push(event(advert, now, "unloaded", `${each.adapter_id} from ${each.device}`));
  }
  const ran = new Set(before.running.map((each) => each.token));
  const runs = new Set(advert.running.map((each) => each.token));
  for (const each of advert.running) {
    if (!ran.has(each.token)) found.push({ ...event(advert, now, "started", `with ${each.adapter_id}`), job_id: each.job_id });
  }
  for (const each of before.running) {
    if (!runs.has(each.token)) found.push({ ...event(advert, now, "ended", ""), job_id: each.job_id });
  }
  if (before.draining !== advert.draining) {
    const words = advert.draining ? (advert.reason ?? "takes nothing new") : "takes jobs again";
    found.push(event(advert, now, advert.draining ? "draining" : "resumed", words));
  }
  for (const device of advert.devices) {
    const old = before.devices.find((each) => each.id === device.id)?.quarantine ?? null;
    const quarantine = device.quarantine ?? null;
    if (quarantine && !old) found.push(event(advert, now, "quarantined", `${device.id}: ${quarantine}`));
    if (!quarantine && old) found.push(event(advert, now, "restored", device.id));
  }
  return found;
}

function event(advert: Advert, at: number, kind: FleetEvent["kind"], words: string): FleetEvent {
  return { at, agent_id: advert.agent_id, kind, words };
}

export interface Segment {
  kind: "resident" | "other" | "reserved" | "buffer" | "free";
  words: string;
  mb: number;
}

/** A device's memory from left to right; the sum is its total. What is measured as used and nobody's is "other". */
export function memoryOf(device: Device, advert: Advert): Segment[] {
  const residents = advert.residents.filter((each) => each.device === device.id);
  const used = Math.max(0, device.total_mb - Math.max(0, device.free_mb));
  let left = device.total_mb;
  const take = (mb: number) => {
    const got = Math.max(0, Math.min(left, mb));
    left -= got;
    return got;
  };
  const segments: Segment[] = residents.map((each) => ({
    kind: "resident",
    words: each.adapter_id + (each.variant ? ` (${each.variant})` : ""),
    mb: take(each.vram_mb),
  }));
  const held = residents.reduce((sum, each) => sum + each.vram_mb, 0);
  segments.push({ kind: "other", words: "used by others", mb: take(used - held) });
  // Where nothing is measured (a simulated device), what the residents hold is promised too.
  const unseen = Math.max(0, held - used);
  segments.push({ kind: "reserved", words: "reserved", mb: take(device.reserved_mb - unseen) });
  segments.push({ kind: "buffer", words: "kept free", mb: take(device.buffer_mb) });
  segments.push({ kind: "free", words: "free", mb: left });
  return segments.filter((each) => each.mb > 0);
}

/** The adapters of the fleet by id, the one that can run first. */
export function offers(fleet: Fleet): ReadonlyMap<string, AdapterOffer> {
  const found = new Map<string, AdapterOffer>();
  for (const { adapters, gone } of fleet.values()) {
    if (gone) continue;
    for (const each of adapters) {
      const known = found.get(each.adapter_id);
      if (!known || (each.available && !known.available)) found.set(each.adapter_id, each);
    }
  }
  return found;
}
