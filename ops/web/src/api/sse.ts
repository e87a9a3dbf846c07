/** The format of server-sent events (WHATWG HTML 9.2), read from chunks of text. */

export interface ServerEvent {
  event: string;
  data: string;
  id: string | null;
}

export class EventReader {
  private rest = "";
  private event = "";
  private data: string[] = [];
  private id: string | null = null;
  private first = true;

  /** The events that are whole after this chunk. */
  read(chunk: string): ServerEvent[] {
    if (this.first && chunk.length > 0) {
      chunk = chunk.replace(/^\uFEFF/, "");
      this.first = false;
    }
    const text = this.rest + chunk;
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop()!;
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) events.push({ event: this.event || "message", data: this.data.join("\n"), id: this.id });
        this.event = "";
        this.data = [];
      } else this.field(line);
    }
    return events;
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.event = value;
    else if (name === "data") this.data.push(value);
    else if (name === "id" && !value.includes("\0")) this.id = value;
  }
}
