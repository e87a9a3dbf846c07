/** A value that views follow. */
import { useEffect, useState } from "preact/hooks";

export class Store<T> {
  private readonly listeners = new Set<() => void>();

  constructor(private value: T) {}

  get(): T {
    return this.value;
  }

  set(next: T): void {
    if (Object.is(next, this.value)) return;
    this.value = next;
    for (const each of [...this.listeners]) each();
  }

  update(change: (value: T) => T): void {
    this.set(change(this.value));
  }

  follow(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

/** The store's value, or a part of it; the view is drawn again when that part is another one. */
export function useStore<T, P = T>(store: Store<T>, part: (value: T) => P = (value) => value as unknown as P): P {
  const [, again] = useState(0);
  const now = part(store.get());
  useEffect(() => {
    let seen = now;
    const check = () => {
      const next = part(store.get());
      if (!Object.is(next, seen)) {
        seen = next;
        again((count) => count + 1);
      }
    };
    check();
    return store.follow(check);
  }, [store, now]);
  return now;
}
