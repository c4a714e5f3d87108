import { throttled } from "@/pages/content/listNews";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

describe("lists that follow changes", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());
  it("read again at once, then at most every so often, and never forget the last change", () => {
    const act = vi.fn();
    const news = throttled(act, 2000);
    news.wanted();
    vi.advanceTimersByTime(0);
    expect(act).toHaveBeenCalledTimes(1);
    for (let change = 0; change < 50; change += 1) news.wanted();
    vi.advanceTimersByTime(1999);
    expect(act).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1);
    expect(act).toHaveBeenCalledTimes(2);
    news.wanted();
    news.stop();
    vi.advanceTimersByTime(10_000);
    expect(act).toHaveBeenCalledTimes(2);
  });
});

class Socket {
  static made: Socket[] = [];
  sent: Record<string, unknown>[] = [];
  onopen?: () => void;
  onmessage?: (event: { data: string }) => void;
  onclose?: () => void;
  constructor(readonly address: URL) {
    Socket.made.push(this);
  }
  send(text: string) {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }
  close() {
    this.onclose?.();
  }
  hear(frame: unknown) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

describe("the connection for news", () => {
  const session = { info: { version: "11", websocket: { rest: { authentication: "handshake", path: "/websocket" } } as unknown }, user: { id: "u" } };
  async function load() {
    vi.resetModules();
    vi.doMock("@/session/session", () => ({ session, loadInfo: vi.fn(() => Promise.resolve()) }));
    vi.doMock("@/schema/schema", () => ({ primaryKeyOf: () => "id" }));
    vi.doMock("@/api/client", () => ({ root: "/cms/" }));
    return import("@/session/live");
  }
  beforeEach(() => {
    vi.useFakeTimers();
    Socket.made = [];
    vi.stubGlobal("WebSocket", Socket);
    session.info.websocket = { rest: { authentication: "handshake", path: "/websocket" } };
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("tells of changes, answers pings and keeps quiet about what was there before", async () => {
    const { listen } = await load();
    const heard = vi.fn();
    const stop = listen("books", heard);
    await vi.advanceTimersByTimeAsync(0);
    const socket = Socket.made[0]!;
    expect(socket.address.pathname).toBe("/cms/websocket");
    socket.onopen!();
    const uid = socket.sent[0]!.uid;
    expect(socket.sent[0]).toMatchObject({ type: "subscribe", collection: "books" });
    socket.hear({ type: "subscription", event: "init", uid, data: [] });
    expect(heard).not.toHaveBeenCalled();
    socket.hear({ type: "subscription", event: "update", uid, data: [{ id: 1 }] });
    expect(heard).toHaveBeenCalledTimes(1);
    socket.hear({ type: "ping" });
    expect(socket.sent.at(-1)).toEqual({ type: "pong" });
    stop();
    expect(socket.sent.at(-1)).toEqual({ type: "unsubscribe", uid });
  });
  it("comes back after it was lost, and says that something may have been missed", async () => {
    const { listen } = await load();
    const heard = vi.fn();
    listen("books", heard, "1");
    await vi.advanceTimersByTimeAsync(0);
    Socket.made[0]!.onopen!();
    Socket.made[0]!.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(Socket.made.length).toBe(2);
    Socket.made[1]!.onopen!();
    expect(Socket.made[1]!.sent[0]).toMatchObject({ type: "subscribe", collection: "books", item: "1" });
    expect(heard).toHaveBeenCalledTimes(1);
  });
  it("is not there where the server has no WebSockets", async () => {
    session.info.websocket = false;
    const { listen } = await load();
    listen("books", vi.fn());
    await vi.advanceTimersByTimeAsync(120_000);
    expect(Socket.made).toEqual([]);
  });
});
