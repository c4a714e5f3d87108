/**
 * The one place that talks to the server: JSON over fetch with the session cookie of the user.
 *
 * Paths are relative to the server's root, which is the folder above the Studio's <base>.
 */
import { forgetEarly, takeEarly } from "./early";
import { parseExact, stringifyExact } from "./json";
import type { Item, Key, Query } from "./types";
import { unreadableIn } from "./unreadable";

export interface ApiProblem {
  message: string;
  extensions: { code: string; field?: string; path?: (string | number)[]; type?: string; [key: string]: unknown };
}

/** An answer of the server that says no, or no answer at all (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problems: ApiProblem[],
  ) {
    super(problems[0]?.message ?? "");
    this.name = "ApiError";
  }

  get code(): string {
    return this.problems[0]?.extensions.code ?? "UNKNOWN";
  }
}

export const root = new URL("../", document.baseURI).pathname;

type Method = "GET" | "POST" | "PATCH" | "DELETE" | "SEARCH";
export interface Options {
  query?: Query & Record<string, unknown>;
  body?: unknown;
  signal?: AbortSignal;
}

const sessionLost = new Set<() => void>();
/** Call `listener` when the server no longer knows who we are. */
export function onSessionLost(listener: () => void): void {
  sessionLost.add(listener);
}

let guest: string | null = null;
/**
 * Speak with the token of a share from now on instead of the user's cookie: whoever follows a link sees what it shows,
 * also when they are logged in here. Null ends it.
 */
export function speakAsGuest(token: string | null): void {
  guest = token;
}

export function url(path: string, query?: Query & Record<string, unknown>): string {
  const parameters = query ? serialise(query) : "";
  return root + path.replace(/^\//, "") + (parameters ? `?${parameters}` : "");
}

/** Query parameters in the form the API reads: lists by comma, trees as JSON. */
export function serialise(query: Query & Record<string, unknown>): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === "") continue;
    if (Array.isArray(value)) {
      if (value.length) parts.push(`${name}=${encodeURIComponent(value.join(","))}`);
    } else if (typeof value === "object") {
      if (Object.keys(value).length) parts.push(`${name}=${encodeURIComponent(stringifyExact(value))}`);
    } else parts.push(`${name}=${encodeURIComponent(String(value))}`);
  }
  return parts.join("&");
}

const LONGEST_URL = 6000;

async function send(method: Method, path: string, options: Options): Promise<{ data: unknown; meta?: unknown } | null> {
  refuseUnreadable(options.body);
  let address = url(path, options.query);
  let body = options.body;
  if (method === "GET" && address.length > LONGEST_URL) {
    // A filter can outgrow what proxies take in a URL; SEARCH carries the same query in its body.
    method = "SEARCH";
    address = url(path);
    body = { query: options.query };
  }
  const form = body instanceof FormData;
  let response: Response;
  try {
    // Whatever is written, and whoever logs in: what was asked for before that is old.
    if (method !== "GET") forgetEarly();
    response = await ((method === "GET" && takeEarly(address)) || fetch(address, {
      method,
      credentials: guest === null ? "same-origin" : "omit",
      signal: options.signal,
      headers: {
        ...(body === undefined || form ? {} : { "Content-Type": "application/json" }),
        ...(guest ? { Authorization: `Bearer ${guest}` } : {}),
      },
      body: body === undefined ? undefined : form ? (body as FormData) : stringifyExact(body),
    }));
  } catch (problem) {
    if (problem instanceof DOMException && problem.name === "AbortError") throw problem;
    throw new ApiError(0, [{ message: "", extensions: { code: "NO_CONNECTION" } }]);
  }
  if (!response.ok) throw await failure(response, path);
  if (response.status === 204) return null;
  const text = await response.text();
  return text.startsWith("{") ? (parseExact(text) as { data: unknown }) : null;
}

/** What cannot be read is said as the server says what is wrong, so that forms show it at the field. */
function refuseUnreadable(body: unknown): void {
  const found = unreadableIn(body);
  if (!found.length) return;
  throw new ApiError(400, found.map(({ path, kind }) => {
    const nested = path.length > 1 && typeof path[0] === "string";
    const field = path.filter((part) => typeof part === "string").at(-1);
    return { message: "", extensions: { code: "UNREADABLE", type: kind, field, ...(nested ? { path } : {}) } };
  }));
}

async function failure(response: Response, path: string): Promise<ApiError> {
  let problems: ApiProblem[] = [];
  try {
    problems = ((await response.json()) as { errors: ApiProblem[] }).errors;
  } catch {
    // A proxy's page, not ours: the status has to do.
  }
  if (!problems?.length) problems = [{ message: response.statusText, extensions: { code: `HTTP_${response.status}` } }];
  const error = new ApiError(response.status, problems);
  const lost = response.status === 401 || error.code === "INVALID_TOKEN";
  if (lost && !path.startsWith("auth/") && !path.includes("/tfa/")) sessionLost.forEach((listener) => listener());
  return error;
}

export const api = {
  async get<T>(path: string, query?: Query & Record<string, unknown>, signal?: AbortSignal): Promise<T> {
    return (await send("GET", path, { query, signal }))?.data as T;
  },
  /** The rows with the counts asked for by `query.meta`. */
  async list<T>(path: string, query?: Query & Record<string, unknown>, signal?: AbortSignal) {
    const answer = await send("GET", path, { query, signal });
    return { data: (answer?.data ?? []) as T[], meta: (answer?.meta ?? {}) as Record<string, number> };
  },
  async post<T>(path: string, body?: unknown, query?: Query & Record<string, unknown>): Promise<T> {
    return (await send("POST", path, { body: body ?? {}, query }))?.data as T;
  },
  async patch<T>(path: string, body: unknown, query?: Query & Record<string, unknown>): Promise<T> {
    return (await send("PATCH", path, { body, query }))?.data as T;
  },
  async delete(path: string, body?: unknown): Promise<void> {
    await send("DELETE", path, { body });
  },
};

/** The REST path of a collection: its own route for system collections, /items for all others. */
export function pathOf(collection: string, key?: Key): string {
  const base = collection.startsWith("directus_") ? collection.slice(9) : `items/${encodeURIComponent(collection)}`;
  return key === undefined ? base : `${base}/${encodeURIComponent(String(key))}`;
}

export const items = {
  list: <T = Item>(collection: string, query: Query, signal?: AbortSignal) =>
    api.list<T>(pathOf(collection), { ...query }, signal),
  one: <T = Item>(collection: string, key: Key, query?: Query) => api.get<T>(pathOf(collection, key), { ...query }),
  async count(collection: string, query: Query, signal?: AbortSignal): Promise<number> {
    const wanted = { search: query.search, filter: query.filter, limit: 0, meta: ["filter_count"] };
    return (await api.list(pathOf(collection), wanted, signal)).meta.filter_count ?? 0;
  },
  /** How many there are, as far as that is cheap to tell: of a large table only that it has `count` or `more`. */
  async countCapped(collection: string, query: Query, signal?: AbortSignal): Promise<{ count: number; more: boolean }> {
    const wanted = { search: query.search, filter: query.filter, limit: 0, meta: ["filter_count"], count: "capped" };
    const { filter_count: count = 0, count_cap: cap } = (await api.list(pathOf(collection), wanted, signal)).meta;
    return { count, more: cap !== undefined && count >= cap };
  },
};

export function assetUrl(id: string, query?: Record<string, unknown>): string {
  // Images cannot send headers. The guest's token is good for this one share, and for minutes.
  return url(`assets/${id}`, guest ? { ...query, access_token: guest } : query);
}

/** Upload with progress, which fetch cannot tell. */
export function upload(path: string, form: FormData, progress: (share: number) => void, method = "POST") {
  const request = new XMLHttpRequest();
  const done = new Promise<unknown>((resolve, reject) => {
    request.open(method, url(path));
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(new ApiError(0, [{ message: "", extensions: { code: "NO_CONNECTION" } }]));
    request.onload = () => {
      const answer = request.responseText.startsWith("{") ? JSON.parse(request.responseText) : {};
      if (request.status < 300) resolve(answer.data);
      else reject(new ApiError(request.status, answer.errors ?? [{ message: "", extensions: { code: "UNKNOWN" } }]));
    };
    request.send(form);
  });
  return { done, cancel: () => request.abort() };
}
