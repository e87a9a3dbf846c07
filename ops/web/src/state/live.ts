/** Keeps what is known up to date: one stream of events, and what was missed is asked for when it comes back. */
import * as gateway from "../api/gateway.js";
import { ApiError, onTokenWanted } from "../api/http.js";
import type { ServerEvent } from "../api/sse.js";
import { EventStream } from "../api/stream.js";
import { hasEnded, type Advert, type Progress, type Result, type Status } from "../api/types.js";
import { withAdvert, withSilence, type FleetEvent } from "./fleet.js";
import { withProgress, withStatuses } from "./jobs.js";
import * as known from "./known.js";

/** Jobs of the first page, which is asked for at every connection, and of each later one. */
const FIRST_PAGE = 200;
const LATER_PAGE = 1000;
const KEPT_FLEET_EVENTS = 500;
/** Known open jobs that a refresh did not see are asked about one by one, so many of them. */
const ASKED_ONE_BY_ONE = 100;
const AT_ONCE = 4;
const SILENCE_EVERY_MS = 2000;
/** Since when agents would have been heard. */
let listening = 0;

/** What was heard since the page was last drawn: a burst of events draws it once. */
let heard: { statuses: Status[]; progress: Progress[]; adverts: Advert[] } = { statuses: [], progress: [], adverts: [] };
let flushing = false;

const stream = new EventStream("/v1/events", {
  opened() {
    listening = Date.now();
    known.connection.set({ state: "open" });
    known.tokenWanted.set(false);
    void refresh();
  },
  event: take,
  lost(why) {
    const now = known.connection.get();
    known.connection.set({ state: "lost", why, since: now.state === "lost" ? now.since : Date.now() });
  },
});

export function startLive(): void {
  onTokenWanted(() => known.tokenWanted.set(true));
  stream.start();
  let before = Date.now();
  setInterval(() => {
    const now = Date.now();
    // After a sleep of this page, what was said meanwhile is still to be read.
    if (now - before > 3 * SILENCE_EVERY_MS) listening = now;
    before = now;
    if (known.connection.get().state === "open") logged(withSilence(known.fleet.get(), now, listening));
  }, SILENCE_EVERY_MS);
}

export function reconnect(): void {
  stream.again();
}

function take(event: ServerEvent): void {
  let body: unknown;
  try {
    body = JSON.parse(event.data);
  } catch (error) {
    if (error instanceof SyntaxError) return;
    throw error;
  }
  if (event.event === "status") heard.statuses.push(body as Status);
  else if (event.event === "progress") heard.progress.push(body as Progress);
  else if (event.event === "advert") heard.adverts.push(body as Advert);
  else if (event.event === "result") known.keepResult(body as Result);
  else return;
  if (flushing) return;
  flushing = true;
  // A hidden page gets no frames.
  if (document.hidden) setTimeout(flush, 250);
  else requestAnimationFrame(flush);
}

function flush(): void {
  flushing = false;
  const now = heard;
  heard = { statuses: [], progress: [], adverts: [] };
  known.jobs.update((table) => withStatuses(table, now.statuses));
  const ended = now.statuses.filter((each) => hasEnded(each.status)).map((each) => each.job_id);
  known.progress.update((table) => withProgress(table, now.progress, ended));
  for (const advert of now.adverts) logged(withAdvert(known.fleet.get(), advert, Date.now()));
}

function logged([fleet, events]: ReturnType<typeof withAdvert>): void {
  known.fleet.set(fleet);
  if (events.length > 0) known.fleetLog.update((log) => [...events.reverse(), ...log].slice(0, KEPT_FLEET_EVENTS) as FleetEvent[]);
}

/** Asks for what may have changed unheard. A failure is told by the stream too, which tries again. */
async function refresh(): Promise<void> {
  try {
    const before = known.jobs.get();
    const [page, members, offered] = await Promise.all([
      gateway.listJobs({ limit: FIRST_PAGE }),
      gateway.agents(),
      gateway.features(),
    ]);
    known.features.set(offered);
    known.jobs.update((table) => withStatuses(table, page.jobs));
    if (known.nextPage.get() === undefined) known.nextPage.set(page.next);
    for (const advert of members) logged(withAdvert(known.fleet.get(), advert, Date.now()));
    const seen = new Set(page.jobs.map((each) => each.job_id));
    const open = [...before.byId.values()].filter((each) => !hasEnded(each.status) && !seen.has(each.job_id));
    await askAbout(open.slice(0, ASKED_ONE_BY_ONE).map((each) => each.job_id));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

async function askAbout(ids: string[]): Promise<void> {
  const rest = [...ids];
  const one = async () => {
    for (let id = rest.pop(); id !== undefined; id = rest.pop()) {
      const status = await gateway.status(id);
      known.jobs.update((table) => withStatuses(table, [status]));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** The next page of the list; answers whether there are more after it. */
export async function morePages(filter: { status?: string; feature?: string }, cursor: string | null): Promise<string | null> {
  const page = await gateway.listJobs({ ...filter, cursor, limit: LATER_PAGE });
  known.jobs.update((table) => withStatuses(table, page.jobs));
  return page.next;
}

/** A job that somebody has just submitted, or that is not in the list yet. */
export function keepStatus(status: Status): void {
  known.jobs.update((table) => withStatuses(table, [status]));
}
