/** Fleet: hosts, their devices with who holds the memory, and what happens on them. */
import { useMemo } from "preact/hooks";
import type { Device } from "../api/types.js";
import { memoryOf, type Member } from "../state/fleet.js";
import { fleet, fleetLog, jobs } from "../state/known.js";
import { useStore } from "../state/store.js";
import { Failures } from "./failures.js";
import { History } from "./history.js";
import { labelOf, timeOf } from "./parts.js";

export function FleetView() {
  const members = useStore(fleet);
  const hosts = useMemo(() => hostsOf(members), [members]);
  return (
    <div class="fleet">
      <section class="panel" aria-labelledby="fleet-title">
        <h1 id="fleet-title">Fleet</h1>
        {hosts.length === 0 && <p class="empty">No agent has been heard yet. Start one: pocket3d agent</p>}
        {hosts.map(([host, agents]) => (
          <section key={host} class="host" aria-label={`Host ${host}`}>
            <h2>{host}</h2>
            {agents.map((each) => (
              <Agent key={each.advert.agent_id} member={each} />
            ))}
          </section>
        ))}
        <Legend />
      </section>
      <History />
      <section class="panel" aria-labelledby="happens">
        <h2 id="happens">What happens</h2>
        <Log />
      </section>
      <Failures />
    </div>
  );
}

export function hostsOf(members: ReadonlyMap<string, Member>): [string, Member[]][] {
  const hosts = new Map<string, Member[]>();
  for (const each of [...members.values()].sort((a, b) => (a.advert.agent_id < b.advert.agent_id ? -1 : 1))) {
    hosts.set(each.advert.host, [...(hosts.get(each.advert.host) ?? []), each]);
  }
  return [...hosts].sort(([a], [b]) => (a < b ? -1 : 1));
}

function Agent({ member }: { member: Member }) {
  const { advert } = member;
  const state = member.gone ? "silent" : advert.draining ? "draining" : advert.running.length > 0 ? "running" : "idle";
  return (
    <article class={member.gone ? "agent gone" : "agent"} aria-label={`Agent ${advert.agent_id}, ${state}`}>
      <header>
        <h3>{advert.agent_id}</h3>
        <span class={`word word-${state}`}>{state}</span>
        <small>
          version {advert.version}
          {Object.entries(advert.labels ?? {}).map(([key, value]) => ` · ${key} ${value}`)}
        </small>
      </header>
      {advert.reason && <p class="wrong">{advert.reason}</p>}
      {advert.devices.map((each) => (
        <DeviceBar key={each.id} device={each} member={member} />
      ))}
      <RunningJobs member={member} />
    </article>
  );
}

function RunningJobs({ member }: { member: Member }) {
  const table = useStore(jobs);
  const running = member.advert.running;
  if (running.length === 0) return null;
  return (
    <ul class="running" aria-label="Running jobs">
      {running.slice(0, 8).map((each) => {
        const status = table.byId.get(each.job_id);
        return (
          <li key={each.token}>
            <a href={`#/queue/${each.job_id}`}>{status ? labelOf(status) : each.job_id}</a>{" "}
            <small>
              {each.adapter_id}
              {each.on_device === false && ", its result is being stored"}
            </small>
          </li>
        );
      })}
      {running.length > 8 && <li>and {running.length - 8} more</li>}
    </ul>
  );
}

function DeviceBar({ device, member }: { device: Device; member: Member }) {
  const segments = memoryOf(device, member.advert);
  const words = segments.map((each) => `${each.words} ${gigabytes(each.mb)}`).join(", ");
  let resident = 0;
  return (
    <div class="device">
      <p>
        <strong>{device.name || device.id}</strong>{" "}
        <small>
          {device.id} · {gigabytes(device.total_mb)}, {gigabytes(segments.find((each) => each.kind === "free")?.mb ?? 0)} free
        </small>
      </p>
      <div class="bar" role="img" aria-label={`Memory of ${device.id}: ${words}`}>
        {segments.map((each, at) => (
          <span
            key={at}
            class={`segment segment-${each.kind}${each.kind === "resident" ? ` tone-${resident++ % 6}` : ""}`}
            style={{ flexGrow: String(each.mb) }}
            title={`${each.words}: ${gigabytes(each.mb)}`}
          >
            {each.mb / device.total_mb > 0.12 && <span>{each.words}</span>}
          </span>
        ))}
      </div>
      {device.quarantine && <p class="wrong">takes no job: {device.quarantine}</p>}
    </div>
  );
}

export function gigabytes(mb: number): string {
  return mb < 1024 ? `${mb} MB` : `${(mb / 1024).toFixed(1)} GB`;
}

function Legend() {
  return (
    <ul class="legend" aria-hidden="true">
      <li>
        <span class="segment segment-resident tone-0" /> a loaded model
      </li>
      <li>
        <span class="segment segment-other" /> used by others
      </li>
      <li>
        <span class="segment segment-reserved" /> reserved
      </li>
      <li>
        <span class="segment segment-buffer" /> kept free
      </li>
      <li>
        <span class="segment segment-free" /> free
      </li>
    </ul>
  );
}

function Log() {
  const log = useStore(fleetLog);
  const table = useStore(jobs);
  const named = (id: string) => {
    const status = table.byId.get(id);
    return status ? labelOf(status) : id;
  };
  if (log.length === 0) return <p class="empty">Loads, evictions, starts and ends are listed here as they happen.</p>;
  return (
    <ol class="log" tabIndex={0} aria-label="Events of the fleet, the newest first">
      {log.slice(0, 200).map((each, at) => (
        <li key={log.length - at}>
          <time>{timeOf(each.at)}</time> <span class={`kind kind-${each.kind}`}>{each.kind}</span> <strong>{each.agent_id}</strong>{" "}
          {each.job_id && <a href={`#/queue/${each.job_id}`}>{named(each.job_id)}</a>} {each.words}
        </li>
      ))}
    </ol>
  );
}
