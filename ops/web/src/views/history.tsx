/** Charts of what has been, each also as a sentence. */
import { useEffect, useState } from "preact/hooks";
import * as gateway from "../api/gateway.js";
import { wordsOf } from "../api/http.js";
import { historyOf, pathOf, type Series } from "../state/history.js";

const EVERY_MS = 10_000;
const WIDTH = 320;
const HEIGHT = 80;

export function History() {
  const [series, setSeries] = useState<Series[] | null>(null);
  const [wrong, setWrong] = useState("");
  useEffect(() => {
    let stop = false;
    let timer = 0;
    const ask = async () => {
      try {
        const found = historyOf(await gateway.stats());
        if (stop) return;
        setSeries(found);
        setWrong("");
      } catch (error) {
        if (!stop) setWrong(wordsOf(error));
      }
      if (!stop) timer = window.setTimeout(() => void ask(), EVERY_MS);
    };
    void ask();
    return () => {
      stop = true;
      clearTimeout(timer);
    };
  }, []);
  return (
    <section class="panel" aria-labelledby="history">
      <h2 id="history">History</h2>
      {wrong && <p class="wrong">{wrong}</p>}
      {series?.length === 0 && <p class="empty">Nothing has been recorded yet.</p>}
      <div class="charts">{series?.map((each) => <Chart key={each.name} series={each} />)}</div>
    </section>
  );
}

function Chart({ series }: { series: Series }) {
  const values = series.points.map((each) => each.value);
  const now = values[values.length - 1] ?? 0;
  const most = Math.max(...values);
  const path = pathOf(series.points, WIDTH, HEIGHT);
  const from = new Date(series.points[0]!.at).toLocaleTimeString();
  const until = new Date(series.points[series.points.length - 1]!.at).toLocaleTimeString();
  return (
    <figure class="chart">
      <figcaption>
        {series.name}: <strong>{short(now)}</strong> {series.unit}
        <small>
          {" "}
          most {short(most)}, {from} to {until}
        </small>
      </figcaption>
      <svg viewBox={`0 -4 ${WIDTH} ${HEIGHT + 8}`} role="img" aria-label={`${series.name}, ${series.unit}: now ${short(now)}, most ${short(most)}`} preserveAspectRatio="none">
        <path class="area" d={`${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} />
        <path class="line" d={path} vector-effect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}
