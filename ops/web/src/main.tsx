/** The page's frame: views by the address's hash, the connection's banner, the token, light and dark. */
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { announcement, connection, jobs, tokenWanted } from "./state/known.js";
import { reconnect, startLive } from "./state/live.js";
import { hasEnded } from "./api/types.js";
import { useStore } from "./state/store.js";
import { Admin } from "./views/admin.js";
import { DropZone } from "./views/drop_zone.js";
import { FleetView } from "./views/fleet.js";
import { Make } from "./views/make.js";
import { Queue } from "./views/queue.js";
import { TokenDialog } from "./views/token_dialog.js";
import { ThemeButton } from "./views/theme.js";
import "./styles.css";

const VIEWS = ["make", "queue", "fleet", "admin"] as const;
type View = (typeof VIEWS)[number];

function route(): { view: View; id: string | null } {
  const [view, id] = location.hash.replace(/^#\/?/, "").split("/");
  return { view: VIEWS.find((each) => each === view) ?? "make", id: id ? decodeURIComponent(id) : null };
}

function useRoute(): { view: View; id: string | null } {
  const [now, setNow] = useState(route);
  useEffect(() => {
    const change = () => setNow(route());
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  return now;
}

function Frame() {
  const { view, id } = useRoute();
  const said = useStore(announcement);
  useEffect(() => {
    document.title = `${view.charAt(0).toUpperCase()}${view.slice(1)} · Pocket3DStudio`;
  }, [view]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.querySelector<HTMLElement>("#main")?.focus())}>
        To the content
      </a>
      <header class="top">
        <span class="brand">Pocket3DStudio</span>
        <nav aria-label="Views">
          {VIEWS.map((each) => (
            <a key={each} href={`#/${each}`} aria-current={each === view ? "page" : undefined}>
              {each.charAt(0).toUpperCase() + each.slice(1)}
              {each === "queue" && <OpenCount />}
            </a>
          ))}
        </nav>
        <ThemeButton />
      </header>
      <Banner />
      <TokenDialog />
      <DropZone />
      <p class="hidden" role="status" aria-live="polite">
        {said}
      </p>
      <main id="main" tabIndex={-1}>
        {view === "make" && <Make />}
        {view === "queue" && <Queue id={id} />}
        {view === "fleet" && <FleetView />}
        {view === "admin" && <Admin />}
      </main>
    </>
  );
}

function OpenCount() {
  const count = useStore(jobs, (table) => {
    let open = 0;
    for (const each of table.byId.values()) if (!hasEnded(each.status)) open += 1;
    return open;
  });
  return count > 0 ? <span class="badge" aria-label={`${count} not ended`}>{count}</span> : null;
}

function Banner() {
  const now = useStore(connection);
  const wanted = useStore(tokenWanted);
  if (now.state !== "lost" || wanted) return null;
  return (
    <div class="banner" role="alert">
      <span>
        The connection is lost: {now.why}. What you see is as of {new Date(now.since).toLocaleTimeString()}; jobs go on meanwhile. It is tried again by
        itself.
      </span>
      <button type="button" onClick={reconnect}>
        Try now
      </button>
    </div>
  );
}

startLive();
render(<Frame />, document.querySelector("#page")!);
