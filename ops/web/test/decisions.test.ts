/// <reference types="node" />
/** What the page decides, on values. Run with `npm test`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventReader } from "../src/api/sse.js";
import type { Advert, Feature, Status } from "../src/api/types.js";
import { fieldsOf, inputsOf, Invalid, placeFor } from "../src/forms/fields.js";
import { batchesOf } from "../src/state/batches.js";
import { bidsOf } from "../src/state/bids.js";
import { mainArtifact, remarksOf } from "../src/state/facts.js";
import { memoryOf, SILENT_MS, withAdvert, withSilence, type Fleet } from "../src/state/fleet.js";
import { historyOf, type Stats } from "../src/state/history.js";
import { labelIn } from "../src/state/labels.js";
import { turnInWords } from "../src/state/reasons.js";
import { chosen, NO_JOBS, withProgress, withStatuses } from "../src/state/jobs.js";

function status(job_id: string, second: number, more: Partial<Status> = {}): Status {
  const at = `2026-11-28T04:22:${String(second).padStart(2, "0")}.000Z`;
  return {
    job_id, feature: "text_to_mesh", priority: "normal", tenant: "default", status: "queued", attempt: 0, agent_id: null, device: null,
    adapter_id: null, reason: null, error: null, at, submitted_at: at, ...more,
  };
}

test("events come whole, however they are cut", () => {
  const text = ': hello\n\nevent: status\r\nid: 7\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata: x\n\n';
  for (let cut = 0; cut <= text.length; cut++) {
    const reader = new EventReader();
    const events = [...reader.read(text.slice(0, cut)), ...reader.read(text.slice(cut))];
    assert.deepEqual(events, [
      { event: "status", data: '{"a":\n1}', id: "7" },
      { event: "message", data: "x", id: "7" },
    ]);
  }
});

test("jobs stand in the order of their submission and do not jump", () => {
  let table = withStatuses(NO_JOBS, [status("b", 2), status("d", 4)]);
  table = withStatuses(table, [status("c", 3), status("e", 5), status("a", 1)]);
  assert.deepEqual(table.order, ["e", "d", "c", "b", "a"]);
  table = withStatuses(table, [status("a", 9, { submitted_at: status("a", 1).at, status: "running" })]);
  assert.deepEqual([table.order[4], table.byId.get("a")?.status], ["a", "running"]);
});

test("an older status changes nothing, and an end stays an end", () => {
  const ended = withStatuses(NO_JOBS, [status("a", 5, { status: "succeeded" })]);
  assert.equal(withStatuses(ended, [status("a", 4, { status: "running" })]).byId.get("a")?.status, "succeeded");
  assert.equal(withStatuses(ended, [status("a", 5, { status: "running" })]).byId.get("a")?.status, "succeeded");
  // The answer to a submission may come after the event of the start, which was in the same millisecond.
  const running = withStatuses(NO_JOBS, [status("a", 5, { status: "running", attempt: 1 })]);
  assert.equal(withStatuses(running, [status("a", 5)]).byId.get("a")?.status, "running");
});

test("the list is filtered by status, feature and words", () => {
  const table = withStatuses(NO_JOBS, [status("a", 1), status("b", 2, { status: "failed" }), status("c", 3, { feature: "auto_rig" })]);
  const ids = (wanted: { status?: string; feature?: string; text?: string }) =>
    chosen(table, { status: "", feature: "", text: "", ...wanted }, (id) => (id === "a" ? "Red Chair" : "")).map((each) => each.job_id);
  assert.deepEqual(ids({}), ["c", "b", "a"]);
  assert.deepEqual(ids({ status: "open" }), ["c", "a"]);
  assert.deepEqual(ids({ status: "failed" }), ["b"]);
  assert.deepEqual(ids({ feature: "auto_rig" }), ["c"]);
  assert.deepEqual(ids({ text: "red ch" }), ["a"]);
});

test("what has ended has no progress", () => {
  const told = { job_id: "a", attempt: 1, fraction: 0.5, stage: "sampling", message: null, at: "" };
  const known = withProgress(new Map(), [told], []);
  assert.equal(known.get("a")?.fraction, 0.5);
  assert.equal(withProgress(known, [], ["a"]).size, 0);
  assert.equal(withProgress(known, [], ["b"]), known);
});

const feature = (name: string, required: string[], properties: Record<string, object>, needs: string[] = []): Feature => ({
  feature: name,
  required,
  adapters: [{ adapter_id: `a-${name}`, available: true, parameters: { type: "object", properties, required: needs } }],
});

test("a photograph is one field, needed where nothing else will do", () => {
  const images = { image_path: {}, image_paths: {}, seed: { type: "integer", default: 0 } };
  const fields = fieldsOf(feature("image_to_mesh", ["image_path|image_paths"], images), "");
  assert.deepEqual(fields.map((each) => [each.key, each.kind, each.required]), [["image_path", "files", true], ["seed", "integer", false]]);
  const either = fieldsOf(feature("multimodal_to_mesh", ["text_prompt|image_path|image_paths"], { text_prompt: { type: "string" }, ...images }), "");
  assert.deepEqual(either.map((each) => [each.key, each.required]), [["image_path", false], ["text_prompt", false], ["seed", false]]);
});

test("without a chosen model the form has what all of them take", () => {
  const both: Feature = {
    feature: "text_to_mesh",
    required: ["text_prompt"],
    adapters: [
      { adapter_id: "a", available: true, parameters: { properties: { text_prompt: { type: "string" }, seed: { type: "integer" }, steps: { type: "integer" } } } },
      { adapter_id: "b", available: true, parameters: { properties: { text_prompt: { type: "string" }, seed: { type: "integer" } } } },
      { adapter_id: "c", available: false, parameters: { properties: { text_prompt: { type: "string" } } } },
    ],
  };
  assert.deepEqual(fieldsOf(both, "").map((each) => each.key), ["text_prompt", "seed"]);
  assert.deepEqual(fieldsOf(both, "a").map((each) => each.key), ["text_prompt", "seed", "steps"]);
});

test("inputs are typed, left out when empty, and judged before anything is sent", () => {
  const schema = {
    text_prompt: { type: "string" },
    seed: { type: "integer", minimum: 0, maximum: 10 },
    texture: { type: "boolean", default: true },
    side: { type: "integer", enum: [512, 1024] },
  };
  const fields = fieldsOf(feature("text_to_mesh", ["text_prompt"], schema), "");
  const inputs = (values: Record<string, string | boolean>) => inputsOf(fields, values, () => ({ artifact: "" }));
  assert.deepEqual(inputs({ text_prompt: "a chair", seed: "3", texture: true, side: "1024" }), { text_prompt: "a chair", seed: 3, side: 1024 });
  assert.deepEqual(inputs({ text_prompt: "a chair", texture: false, seed: " " }), { text_prompt: "a chair", texture: false });
  for (const [values, key] of [[{}, "text_prompt"], [{ text_prompt: "a", seed: "x" }, "seed"], [{ text_prompt: "a", seed: "1.5" }, "seed"], [{ text_prompt: "a", seed: "11" }, "seed"]] as const) {
    assert.throws(() => inputs(values as Record<string, string>), (error) => error instanceof Invalid && error.key === key);
  }
});

test("several photographs go under the list's name, another job's file as a reference", () => {
  const fields = fieldsOf(feature("image_to_mesh", ["image_path|image_paths"], { image_path: {}, image_paths: {} }), "");
  const source = (name: string) => ({ result: "job-1", name });
  const shape = (each: object) => each as { result: string };
  assert.deepEqual(inputsOf(fields, { image_path: [source("a.png")] }, shape), { image_path: source("a.png") });
  assert.deepEqual(inputsOf(fields, { image_path: [source("a.png"), source("b.png")] }, shape), { image_paths: [source("a.png"), source("b.png")] });
});

test("a dropped file goes to the feature that is shown, if that takes it", () => {
  const all = [
    feature("text_to_mesh", ["text_prompt"], { text_prompt: { type: "string" } }),
    feature("image_to_mesh", ["image_path|image_paths"], { image_path: {} }),
    feature("text_to_texture", ["mesh_path", "text_prompt"], { mesh_path: {} }),
    feature("auto_rig", ["mesh_path"], { mesh_path: {} }),
  ];
  assert.deepEqual(placeFor("image", all, "text_to_mesh"), { feature: "image_to_mesh", key: "image_path" });
  assert.deepEqual(placeFor("mesh", all, "auto_rig"), { feature: "auto_rig", key: "mesh_path" });
  assert.deepEqual(placeFor("mesh", all, "text_to_mesh"), { feature: "text_to_texture", key: "mesh_path" });
  assert.equal(placeFor("mesh", all.slice(0, 2), "text_to_mesh"), null);
});

function advert(seq: number, more: Partial<Advert> = {}): Advert {
  const device = { id: "g", kind: "cuda", name: "L4", total_mb: 1000, free_mb: 400, reserved_mb: 100, buffer_mb: 50 };
  return { agent_id: "a", incarnation: "1", seq, host: "h", version: "1", draining: false, devices: [device], residents: [], running: [], ...more };
}

test("loads, evictions, starts and silence are told from one advert to the next", () => {
  const resident = { adapter_id: "m", device: "g", pid: 3, vram_mb: 300, idle_s: 0 };
  const running = { job_id: "j", attempt: 1, token: "t", adapter_id: "m", device: "g" };
  let fleet: Fleet = new Map();
  const kinds = (next: Advert, now: number) => {
    const [after, events] = withAdvert(fleet, next, now);
    fleet = after;
    return events.map((each) => each.kind);
  };
  assert.deepEqual(kinds(advert(1), 0), ["joined"]);
  assert.deepEqual(kinds(advert(2, { residents: [resident], running: [running] }), 1), ["loaded", "started"]);
  assert.deepEqual(kinds(advert(1), 2), [], "an older advert changes nothing");
  assert.deepEqual(kinds(advert(3, { residents: [{ ...resident, idle_s: 5 }] }), 3), ["ended"]);
  assert.deepEqual(kinds(advert(4, { draining: true }), 4), ["unloaded", "draining"]);
  const [silent, events] = withSilence(fleet, 5 + SILENT_MS, 0);
  assert.deepEqual([events.map((each) => each.kind), silent.get("a")?.gone], [["gone"], true]);
  // Nobody is silent while nobody listens.
  assert.deepEqual(withSilence(fleet, 5 + SILENT_MS, 6)[1], []);
  assert.deepEqual(kinds(advert(1, { incarnation: "2" }), 9), ["restarted"]);
});

test("an advert without its adapters keeps those that were told", () => {
  const offer = { adapter_id: "m", feature: "f", vram_mb: 1, available: true, devices: ["cuda"] };
  const [first] = withAdvert(new Map(), advert(1, { adapters: [offer] }), 0);
  const [second] = withAdvert(first, advert(2, { adapters: null }), 1);
  assert.deepEqual(second.get("a")?.adapters, [offer]);
});

test("a memory bar adds up to the device, whatever the figures say", () => {
  const resident = { adapter_id: "m", device: "g", pid: 3, vram_mb: 300, idle_s: 0 };
  const bar = (next: Advert) => memoryOf(next.devices[0]!, next).map((each) => [each.kind, each.mb]);
  assert.deepEqual(bar(advert(1, { residents: [resident] })), [["resident", 300], ["other", 300], ["reserved", 100], ["buffer", 50], ["free", 250]]);
  assert.deepEqual(bar(advert(1, { residents: [{ ...resident, vram_mb: 5000 }] })), [["resident", 1000]]);
  // A simulated device measures nothing: what its residents hold stands in `reserved_mb`.
  const [device] = advert(1).devices;
  const simulated = { ...device!, free_mb: 1000, reserved_mb: 400, buffer_mb: 0 };
  assert.deepEqual(bar(advert(1, { residents: [resident], devices: [simulated] })), [["resident", 300], ["reserved", 100], ["free", 600]]);
});

test("remarks and the file to show are found whatever the feature calls its facts", () => {
  const result = {
    job_id: "j", feature: "f", status: "succeeded" as const, agent_id: null, device: null, adapter_id: null, metadata: {}, error: null,
    timings: { submitted_at: null, finished_at: null, queued_s: null, load_s: null, run_s: null },
    outputs: { output_mesh_path: "b.glb", rig_info: { ignored: ["a light"], lost: ["colours"] }, warnings: [] },
    artifacts: ["a.glb", "b.glb"].map((name) => ({ name, size: 1, sha256: "", media_type: "model/gltf-binary" })),
  };
  assert.deepEqual(remarksOf(result), ["ignored: a light", "lost: colours"]);
  assert.equal(mainArtifact(result)?.name, "b.glb");
  assert.equal(mainArtifact({ ...result, outputs: null })?.name, "a.glb");
});

test("an interval in which nothing happened counts as none", () => {
  const span = { count: 2, total_s: 3, max_s: 2 };
  const intervals: Stats["intervals"] = [{ at: 1000, jobs: { succeeded: 1, queued: 9 }, run: span }, { at: 1020, jobs: { failed: 2 }, run: { count: 0, total_s: 0, max_s: 0 } }];
  const series = historyOf({ interval_s: 10, intervals });
  assert.deepEqual(series.map((each) => each.name), ["Jobs that ended", "Jobs that failed"]);
  assert.deepEqual(series[0]?.points.map((each) => each.value), [6, 0, 12]);
});

test("the winner stands first among the bids", () => {
  const bid = (device: string, load: number) => ({ lot: 0, adapter_id: "m", device, claim_mb: 1, slots: 1, est_queue_s: 0, est_load_s: load, warm: load === 0 });
  const declines = [{ lot: 0, reasons: [{ agent_id: "b", code: "vram_total" }] }];
  const table = bidsOf(
    { answers: [{ agent_id: "a", bids: [bid("g1", 0), bid("g2", 9)], declines: [] }, { agent_id: "b", bids: [], declines }] },
    { agent: "a", device: "g2", adapter: "m" },
  );
  assert.deepEqual(table.rows.map((each) => [each.device, each.won]), [["g2", true], ["g1", false]]);
  assert.deepEqual(table.declines.map((each) => each.code), ["vram_total"]);
});

test("batches under way stand first", () => {
  const groups = { groups: [{ group_id: "g", status: "succeeded", fraction: 1, counts: { succeeded: 3 }, submitted_at: "2" }] };
  const chains = { chains: [{ chain_id: "c", status: "running", fraction: 0.5, steps: [{ name: "rig", job_id: "c-rig", status: "running", stage: "skin" }], submitted_at: "1" }] };
  assert.deepEqual(batchesOf(groups, chains).map((each) => [each.id, each.ended, each.words]), [["c", false, "rig skin"], ["g", true, "3 succeeded"]]);
  assert.deepEqual(batchesOf(null, null), []);
});


test("a job that takes another's result is called after it", () => {
  const table = withStatuses(NO_JOBS, [
    status("1", 1, { label: "cup.png", feature: "image_to_mesh" }),
    status("2", 2, { label: "of 1", feature: "mesh_segmentation" }),
    status("3", 3, { label: "of 2", feature: "auto_rig" }),
    status("4", 4, { label: "of gone", feature: "auto_rig" }),
    status("5", 5, { label: "of 5" }),
  ]);
  const label = (id: string) => labelIn(table, table.byId.get(id)!);
  assert.deepEqual(["1", "2", "3", "4", "5"].map(label), ["cup.png", "mesh segmentation of cup.png", "auto rig of cup.png", "auto rig of gone", "of 5"]);
  assert.equal(labelIn(table, status("7", 7)), "text to mesh");
});

test("whose turn it is stands in words", () => {
  const turn = { tenant: "a", place: 1, before: [], own_before: 0, queued: 1, running: 0 };
  assert.equal(turnInWords(turn), "it is the next one to start");
  assert.equal(turnInWords({ ...turn, own_before: 3 }), "3 jobs stand before this one");
  assert.equal(turnInWords({ ...turn, before: ["b"], own_before: 1 }), "b may start a job before a; then 1 job stands before this one in its own row");
});
