/** The result of a job that has ended, asked for once; the event of the end may come a moment before it. */
import { useEffect, useState } from "preact/hooks";
import * as gateway from "../api/gateway.js";
import { ApiError, wordsOf } from "../api/http.js";
import { hasEnded, type Result, type Status } from "../api/types.js";
import { keepResult, results } from "./known.js";
import { useStore } from "./store.js";

const AGAIN_MS = 700;
const TRIES = 8;

export function useResult(status: Status | undefined, wanted = true): { result: Result | undefined; wrong: string } {
  const id = status?.job_id ?? "";
  const result = useStore(results, (known) => known.get(id));
  const [wrong, setWrong] = useState("");
  const ended = status !== undefined && hasEnded(status.status);
  useEffect(() => {
    if (!ended || !wanted || result) return;
    let stop = false;
    let timer = 0;
    const ask = async (tries: number) => {
      try {
        const found = await gateway.result(id);
        if (!stop) keepResult(found);
      } catch (error) {
        if (stop) return;
        if (error instanceof ApiError && error.code === 404 && tries > 1) {
          timer = window.setTimeout(() => void ask(tries - 1), AGAIN_MS);
        } else setWrong(wordsOf(error));
      }
    };
    void ask(TRIES);
    return () => {
      stop = true;
      clearTimeout(timer);
    };
  }, [id, ended, wanted, result === undefined]);
  return { result, wrong };
}
