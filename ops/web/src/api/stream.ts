/**
 * One stream of events for the whole page, by fetch: an EventSource sets no headers, so that the token would stand in
 * the address, and it gives up when it is refused once. This one comes again until it is stopped.
 */
import { ApiError, send } from "./http.js";
import { EventReader, type ServerEvent } from "./sse.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** Silence for so long means that the connection is dead, though nobody has said so: gateways send comments meanwhile. */
const SILENCE_MS = 60_000;

export interface Heard {
  /** A stream is there. What happened while there was none has to be asked for. */
  opened(): void;
  event(event: ServerEvent): void;
  /** The stream has ended; the next try comes after so many milliseconds. */
  lost(why: string, pause_ms: number): void;
}

/** The pause before try `failures + 1`: doubled each time. */
export function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1));
}

export class EventStream {
  private stopped = false;
  private failures = 0;
  private last: string | null = null;
  private wake: (() => void) | null = null;
  private abort: AbortController | null = null;

  constructor(
    private readonly path: string,
    private readonly heard: Heard,
  ) {}

  start(): void {
    addEventListener("online", this.again);
    void this.run();
  }

  stop(): void {
    this.stopped = true;
    removeEventListener("online", this.again);
    this.abort?.abort();
    this.wake?.();
  }

  /** Tries at once, with what is known now (another token). */
  readonly again = (): void => {
    this.failures = 0;
    this.wake?.();
  };

  private async run(): Promise<void> {
    while (!this.stopped) {
      const why = await this.once();
      if (this.stopped) return;
      this.failures += 1;
      const pause = pauseAfter(this.failures);
      this.heard.lost(why, pause);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, pause);
      });
      this.wake = null;
    }
  }

  /** One connection until its end; answers why it ended. */
  private async once(): Promise<string> {
    const abort = (this.abort = new AbortController());
    let silence = 0;
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (this.last !== null) headers["Last-Event-ID"] = this.last;
      const answer = await send(this.path, { headers, signal: abort.signal });
      if (!answer.body) return "the gateway sent no stream";
      this.failures = 0;
      this.heard.opened();
      const reader = new EventReader();
      const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        silence = window.setTimeout(() => abort.abort(), SILENCE_MS);
        const { done, value } = await text.read();
        clearTimeout(silence);
        if (done) return "the gateway ended the stream";
        for (const event of reader.read(value)) {
          this.last = event.id ?? this.last;
          this.heard.event(event);
        }
      }
    } catch (error) {
      clearTimeout(silence);
      if (error instanceof ApiError) return error.message;
      if (error instanceof TypeError || error instanceof DOMException) return "the connection was lost";
      throw error;
    }
  }
}
