/** The bids for a job, as far as the gateway has heard them. */
import { useEffect, useState } from "preact/hooks";
import * as gateway from "../api/gateway.js";
import { ApiError } from "../api/http.js";
import { bidsOf, total, type BidTableData } from "../state/bids.js";
import { secondsInWords } from "../state/facts.js";
import { reasonInWords } from "../state/reasons.js";

interface BidTableProps {
  id: string;
  adapter: string | null;
  agent: string | null;
  device: string | null;
  attempt: number;
}

export function BidTable({ id, adapter, agent, device, attempt }: BidTableProps) {
  const [found, setFound] = useState<BidTableData | null>(null);
  const [none, setNone] = useState("");
  useEffect(() => {
    let stop = false;
    gateway.bids(id).then(
      (body) => !stop && setFound(bidsOf(body, { agent, device, adapter })),
      (error: unknown) => {
        if (!(error instanceof ApiError)) throw error;
        if (!stop) setNone(error.code === 404 ? notThere(attempt) : error.message);
      },
    );
    return () => {
      stop = true;
    };
  }, [id, agent, device, adapter, attempt]);
  const models = new Set(found?.rows.map((each) => each.adapter_id)).size;
  return (
    <section aria-label="Bids">
      <h3>Bids</h3>
      {!found && <p class="help">{none || "asking ..."}</p>}
      {found && found.rows.length === 0 && found.declines.length === 0 && <p class="help">nobody has bid yet</p>}
      {found && found.why && <p>The winner: {found.why}.</p>}
      {found && found.rows.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                {["where", ...(models > 1 ? ["model"] : []), "loaded", "has to evict", "waits", "loads", "runs", "done in"].map((each) => (
                  <th scope="col" key={each}>
                    {each}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {found.rows.map((each, at) => (
                <tr key={at} class={each.won ? "won" : ""}>
                  <td>
                    {each.agent_id}, {each.device}
                    {each.won && <strong class="won-word"> won</strong>}
                    {each.reason && <small> {each.reason}</small>}
                  </td>
                  {models > 1 && <td>{each.adapter_id}</td>}
                  <td>{each.warm ? "yes" : "no"}</td>
                  <td>{each.evict_mb ? `${each.evict_mb} MB` : "nothing"}</td>
                  <td>{secondsInWords(each.queue_s)}</td>
                  <td>{secondsInWords(each.load_s)}</td>
                  <td>{each.run_s === null ? "?" : secondsInWords(each.run_s)}</td>
                  <td>{each.run_s === null ? "?" : secondsInWords(total(each))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {found && found.declines.length > 0 && (
        <ul class="help">
          {found.declines.map((each, at) => (
            <li key={at}>
              {each.agent_id} {each.device ?? ""} made no offer: {reasonInWords(each)}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function notThere(attempt: number): string {
  if (attempt === 0) return "Agents bid for it when its turn comes; the bids are listed here once it has started.";
  return "This gateway has not heard them: it knows those of the latest starts since it was started itself.";
}
