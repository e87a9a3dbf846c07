/** A list of any length of which only the rows in sight are drawn. Arrow keys, Page, Home and End move in it. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const BEYOND = 8;

interface WindowListProps<T> {
  label: string;
  items: readonly T[];
  rowHeight: number;
  keyOf: (item: T) => string;
  chosen: string | null;
  open: (item: T) => void;
  row: (item: T) => ComponentChildren;
  /** The end comes into sight: there may be more to fetch. */
  nearEnd: () => void;
  columns: string[];
}

export function WindowList<T>(props: WindowListProps<T>) {
  const { items, rowHeight } = props;
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const [active, setActive] = useState(0);
  const frame = useRef(0);

  useEffect(() => {
    const element = box.current!;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => {
      observer.disconnect();
      cancelAnimationFrame(frame.current);
    };
  }, []);

  const first = Math.max(0, Math.floor(top / rowHeight) - BEYOND);
  const last = Math.min(items.length, Math.ceil((top + height) / rowHeight) + BEYOND);
  useEffect(() => {
    if (last >= items.length - BEYOND) props.nearEnd();
  }, [last, items.length]);

  const scrolled = () => {
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(() => box.current && setTop(box.current.scrollTop));
  };

  const move = (to: number) => {
    const at = Math.max(0, Math.min(items.length - 1, to));
    setActive(at);
    const element = box.current!;
    if (at * rowHeight < element.scrollTop) element.scrollTop = at * rowHeight;
    else if ((at + 1) * rowHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = (at + 1) * rowHeight - element.clientHeight;
    }
    setTop(element.scrollTop);
    requestAnimationFrame(() => element.querySelector<HTMLElement>(`[aria-rowindex="${at + 2}"]`)?.focus({ preventScroll: true }));
  };

  const key = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(height / rowHeight) - 1);
    const steps: Record<string, number> = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: items.length - 1,
    };
    if (event.key in steps) move(steps[event.key]!);
    else if (event.key === "Enter" && items[active]) props.open(items[active]!);
    else return;
    event.preventDefault();
  };

  const focused = Math.min(active, items.length - 1);
  return (
    <div class="window-list" role="table" aria-label={props.label} aria-rowcount={items.length + 1}>
      <div role="row" aria-rowindex={1} class="window-head">
        {props.columns.map((each) => (
          <span role="columnheader" key={each}>
            {each}
          </span>
        ))}
      </div>
      <div ref={box} role="rowgroup" class="window-body" onScroll={scrolled} onKeyDown={key}>
        <div class="window-all" style={{ height: `${items.length * rowHeight}px` }}>
          {items.slice(first, last).map((each, offset) => {
            const at = first + offset;
            return (
              <div
                key={props.keyOf(each)}
                role="row"
                aria-rowindex={at + 2}
                aria-current={props.keyOf(each) === props.chosen || undefined}
                tabIndex={at === focused || (offset === 0 && (focused < first || focused >= last)) ? 0 : -1}
                class="window-row"
                style={{ transform: `translateY(${at * rowHeight}px)`, height: `${rowHeight}px` }}
                onFocus={() => setActive(at)}
                onClick={() => props.open(each)}
              >
                {props.row(each)}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
