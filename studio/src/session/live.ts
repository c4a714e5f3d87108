/**
 * News about changes, where the server has WebSockets: one connection for the page, opened when somebody listens. Without
 * it nothing is told, and nothing is missed but the news.
 *
 * Only that something has changed is told; what it is, is then read over the REST API like everything else.
 */
import { root } from "@/api/client";
import { loadInfo, session } from "@/session/session";
import { primaryKeyOf } from "@/schema/schema";
import { onBeforeUnmount, watch } from "vue";

type Listener = () => void;
interface Subscription { collection: string; item: string | null; listener: Listener }

const LONGEST_WAIT = 60_000;
/** A connection that nobody needs is kept this long: the next page mostly listens again. */
const LINGER = 5_000;

const subscriptions = new Map<string, Subscription>();
let socket: WebSocket | undefined;
let opened = false;
/** Whose cookie opened the connection. */
let owner: string | undefined;
let failures = 0;
let next = 1;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Tell `listener` of every change in the collection, or of the one item. Returns how to stop. */
export function listen(collection: string, listener: Listener, item: string | null = null): () => void {
  const uid = String(next++);
  const subscription = { collection, item, listener };
  subscriptions.set(uid, subscription);
  clearTimeout(timer);
  // Somebody else may have logged in while it lingered.
  if (socket && owner !== session.user?.id) close();
  if (socket && opened) subscribe(uid, subscription);
  else if (!socket) void connect();
  return () => {
    subscriptions.delete(uid);
    if (socket && opened) socket.send(JSON.stringify({ type: "unsubscribe", uid }));
    if (!subscriptions.size) timer = setTimeout(close, LINGER);
  };
}

/** The same for a component, as long as it stands on the page. An empty collection listens to nothing. */
export function useLive(target: () => { collection: string; item?: string | null } | null, changed: Listener): void {
  let stop: Listener | undefined;
  watch(() => JSON.stringify(target()), () => {
    stop?.();
    const wanted = target();
    stop = wanted ? listen(wanted.collection, changed, wanted.item ?? null) : undefined;
  }, { immediate: true });
  onBeforeUnmount(() => stop?.());
}

async function path(): Promise<string | null> {
  // What is told before the login leaves the sockets out.
  if (!session.info?.version && session.user) await loadInfo().catch(() => undefined);
  const sockets = session.info?.websocket;
  return sockets && typeof sockets === "object" && sockets.rest ? sockets.rest.path : null;
}

async function connect(): Promise<void> {
  const place = await path();
  if (!place || socket || !subscriptions.size || !session.user) return;
  const address = new URL(root + place.replace(/^\//, ""), location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  // The session cookie comes with the request, so there is nothing to log in with afterwards.
  const made = new WebSocket(address);
  socket = made;
  owner = session.user.id;
  made.onopen = () => {
    opened = true;
    for (const [uid, subscription] of subscriptions) subscribe(uid, subscription);
    // What happened while there was no connection is not told again.
    if (failures) for (const subscription of subscriptions.values()) subscription.listener();
    failures = 0;
  };
  made.onmessage = (event) => receive(String(event.data));
  made.onclose = () => lost(made);
}

function subscribe(uid: string, { collection, item }: Subscription): void {
  // The answer is not looked at, so one key is as good as all fields.
  const query = { fields: [primaryKeyOf(collection)], limit: 1 };
  socket?.send(JSON.stringify({ type: "subscribe", collection, uid, query: item === null ? query : { fields: query.fields }, ...(item === null ? {} : { item }) }));
}

interface Frame { type?: string; event?: string; uid?: string | number }
function receive(text: string): void {
  const frame = JSON.parse(text) as Frame;
  if (frame.type === "ping") socket?.send('{"type":"pong"}');
  if (frame.type === "subscription" && (frame.event === "create" || frame.event === "update" || frame.event === "delete"))
    subscriptions.get(String(frame.uid))?.listener();
}

function lost(which: WebSocket): void {
  if (socket !== which) return;
  socket = undefined;
  opened = false;
  failures += 1;
  clearTimeout(timer);
  // A refusal looks like a lost connection; so less and less often.
  if (subscriptions.size) timer = setTimeout(() => void connect(), Math.min(1000 * 2 ** failures, LONGEST_WAIT));
}

function close(): void {
  const old = socket;
  socket = undefined;
  opened = false;
  failures = 0;
  old?.close();
}
