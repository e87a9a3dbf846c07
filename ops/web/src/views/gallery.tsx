/** Thumbnails of all results, the newest first. A picture is fetched when its card comes into sight. */
import { useEffect, useRef, useState } from "preact/hooks";
import * as gateway from "../api/gateway.js";
import { ApiError } from "../api/http.js";
import type { Status } from "../api/types.js";
import { thumbnailOf } from "../state/facts.js";
import { jobs, nextPage, selected } from "../state/known.js";
import { morePages } from "../state/live.js";
import { useStore } from "../state/store.js";
import { useResult } from "../state/use_result.js";
import { Act, labelOf } from "./parts.js";

const FIRST = 24;
const MORE = 48;

export function Gallery() {
  const table = useStore(jobs);
  const cursor = useStore(nextPage);
  const chosen = useStore(selected);
  const [shown, setShown] = useState(FIRST);
  const made: Status[] = [];
  for (const id of table.order) {
    const each = table.byId.get(id)!;
    if (each.status === "succeeded" && each.feature !== "echo") made.push(each);
    if (made.length > shown) break;
  }
  const more = async () => {
    setShown(shown + MORE);
    if (made.length <= shown && cursor) nextPage.set(await morePages({}, cursor));
  };
  if (made.length === 0) return <p class="empty">What you make appears here.</p>;
  return (
    <>
      <ul class="gallery" aria-label="All results">
        {made.slice(0, shown).map((each) => (
          <li key={each.job_id}>
            <Card status={each} chosen={each.job_id === chosen} />
          </li>
        ))}
      </ul>
      {(made.length > shown || cursor) && <Act words="Show more" act={more} quiet />}
    </>
  );
}

const pictures = new Map<string, string>();

function Card({ status, chosen }: { status: Status; chosen: boolean }) {
  const card = useRef<HTMLButtonElement>(null);
  const [seen, setSeen] = useState(false);
  const [picture, setPicture] = useState(pictures.get(status.job_id) ?? "");
  const { result } = useResult(status, seen);
  const thumbnail = result ? thumbnailOf(result)?.name : undefined;

  useEffect(() => {
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((each) => each.isIntersecting)) {
        setSeen(true);
        observer.disconnect();
      }
    });
    if (card.current) observer.observe(card.current);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (!thumbnail || picture) return;
    let stop = false;
    gateway.artifact(status.job_id, thumbnail).then(
      (blob) => {
        const url = URL.createObjectURL(blob);
        pictures.set(status.job_id, url);
        if (!stop) setPicture(url);
      },
      (error: unknown) => {
        // A card without a picture still has its words.
        if (!(error instanceof ApiError)) throw error;
      },
    );
    return () => {
      stop = true;
    };
  }, [thumbnail]);

  return (
    <button
      ref={card}
      type="button"
      class="card"
      aria-pressed={chosen}
      onClick={() => {
        selected.set(status.job_id);
        document.querySelector("#result")?.scrollIntoView({ block: "nearest" });
      }}
    >
      {picture ? <img src={picture} alt="" /> : <span class="blank" aria-hidden="true" />}
      <span class="card-words">{labelOf(status)}</span>
    </button>
  );
}
