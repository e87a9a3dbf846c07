/** Requests to the gateway. Each failure says in words what was wrong and, if the gateway says it, which field. */

const TOKEN = "pocket3d.token";

export class ApiError extends Error {
  constructor(
    /** The HTTP status; 0 where the gateway was not reached. */
    readonly code: number,
    message: string,
    readonly field: string | null = null,
  ) {
    super(message);
  }
}

type Listener = () => void;
const refused = new Set<Listener>();

/** Called when the gateway wants a token, or another one. */
export function onTokenWanted(listener: Listener): () => void {
  refused.add(listener);
  return () => refused.delete(listener);
}

/** The token lasts as long as the tab and is never part of an address. */
export function token(): string | null {
  return sessionStorage.getItem(TOKEN);
}

export function keepToken(value: string | null): void {
  if (value) sessionStorage.setItem(TOKEN, value);
  else sessionStorage.removeItem(TOKEN);
}

export function address(path: string): string {
  return new URL(path.replace(/^\//, ""), document.baseURI).href;
}

export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const known = token();
  if (known) headers.set("Authorization", `Bearer ${known}`);
  let answer: Response;
  try {
    answer = await fetch(address(path), { ...init, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "the gateway does not answer");
  }
  if (answer.ok) return answer;
  const failure = await failureOf(answer);
  if (answer.status === 401) for (const each of refused) each();
  throw failure;
}

async function failureOf(answer: Response): Promise<ApiError> {
  const words = `${answer.status} ${answer.statusText}`.trim();
  try {
    const { error } = (await answer.json()) as { error?: { message?: string; field?: string | null } | string };
    if (typeof error === "string") return new ApiError(answer.status, error);
    return new ApiError(answer.status, error?.message ?? words, error?.field ?? null);
  } catch (error) {
    if (error instanceof SyntaxError) return new ApiError(answer.status, words);
    throw error;
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await send(path, signal ? { signal } : {})).json()) as T;
}

export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  return (await (await send(path, { method: "POST", headers, body: JSON.stringify(body) })).json()) as T;
}

export async function remove<T>(path: string): Promise<T> {
  return (await (await send(path, { method: "DELETE" })).json()) as T;
}

/** Words for people, whatever was thrown. */
export function wordsOf(error: unknown): string {
  if (error instanceof ApiError) return error.field ? `${error.message} (${error.field})` : error.message;
  return error instanceof Error ? error.message : String(error);
}
