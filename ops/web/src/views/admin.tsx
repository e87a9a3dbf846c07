/** Admin: what agents are told. Each button says what the agent answers. */
import { useState } from "preact/hooks";
import * as gateway from "../api/gateway.js";
import type { Advert, Resident } from "../api/types.js";
import { secondsInWords } from "../state/facts.js";
import { features, fleet } from "../state/known.js";
import type { Member } from "../state/fleet.js";
import { useStore } from "../state/store.js";
import { gigabytes, hostsOf } from "./fleet.js";
import { Act } from "./parts.js";

export function Admin() {
  const members = useStore(fleet);
  const agents = hostsOf(members).flatMap(([, each]) => each);
  return (
    <div class="admin">
      <section class="panel" aria-labelledby="admin-title">
        <h1 id="admin-title">Admin</h1>
        <p class="help">
          A draining agent ends what it runs and takes nothing new. Loading keeps a model warm; unloading frees its memory. The gateway may want a token
          with the right to do so.
        </p>
        {agents.length === 0 && <p class="empty">No agent has been heard yet.</p>}
        {agents.map((each) => (
          <AgentAdmin key={each.advert.agent_id} member={each} />
        ))}
      </section>
    </div>
  );
}

function isBusy(resident: Resident, advert: Advert): boolean {
  return advert.running.some((each) => each.adapter_id === resident.adapter_id && each.device === resident.device && each.on_device !== false);
}

const answer = async (asked: Promise<{ message?: string }>) => (await asked).message ?? "done";

function AgentAdmin({ member }: { member: Member }) {
  const { advert } = member;
  const id = advert.agent_id;
  return (
    <article class={member.gone ? "agent gone" : "agent"} aria-label={`Agent ${id}`}>
      <header>
        <h2>{id}</h2>
        <small>
          {advert.host} · {advert.running.length} running
        </small>
        {advert.draining ? (
          <Act key="resume" words="Resume" act={() => answer(gateway.control(id, "resume"))} />
        ) : (
          <Act key="drain" words="Drain" sure="Drain it?" act={() => answer(gateway.control(id, "drain"))} />
        )}
      </header>
      {advert.reason && <p class="help">{advert.reason}</p>}
      {advert.residents.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                {["loaded model", "device", "memory", "idle", ""].map((each) => (
                  <th scope="col" key={each}>
                    {each}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {advert.residents.map((each) => (
                <tr key={`${each.device}/${each.pid}`}>
                  <td>
                    {each.adapter_id}
                    {each.variant && ` (${each.variant})`}
                  </td>
                  <td>{each.device}</td>
                  <td>{gigabytes(each.vram_mb)}</td>
                  <td>{isBusy(each, advert) ? "busy" : secondsInWords(Math.round(each.idle_s))}</td>
                  <td>
                    <Act
                      words="Unload"
                      sure="Unload it?"
                      act={() => answer(gateway.control(id, "unload", { adapter_id: each.adapter_id, device: each.device }))}
                    />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Load member={member} />
    </article>
  );
}

function Load({ member }: { member: Member }) {
  const { advert, adapters } = member;
  const [adapter, setAdapter] = useState("");
  const [device, setDevice] = useState("");
  const offered = useStore(features);
  const own = adapters.filter((each) => each.available).map((each) => each.adapter_id);
  const all = offered.flatMap((each) => each.adapters.map((one) => one.adapter_id));
  const names = [...new Set(own.length > 0 ? own : all)];
  const id = advert.agent_id;
  return (
    <form class="row load" onSubmit={(event) => event.preventDefault()}>
      <label>
        Model{" "}
        <select value={adapter} onChange={(event) => setAdapter(event.currentTarget.value)}>
          <option value="">choose ...</option>
          {names.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
      </label>
      <label>
        Device{" "}
        <select value={device} onChange={(event) => setDevice(event.currentTarget.value)}>
          <option value="">whichever has room</option>
          {advert.devices.map((each) => (
            <option key={each.id} value={each.id}>
              {each.name || each.id}
            </option>
          ))}
        </select>
      </label>
      <Act
        words="Load"
        act={() => {
          if (!adapter) return Promise.resolve("choose a model first");
          return answer(gateway.control(id, "load", { adapter_id: adapter, device: device || null }));
        }}
      />
    </form>
  );
}
