import { api, root, serialise } from "@/api/client";
import { forgetEarly } from "@/api/early";
import { load, loadInfo } from "@/session/session";
import { loadSchema } from "@/schema/schema";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

const script = readFileSync("public/early.js", "utf8");
const answer = () => Promise.resolve(new Response('{"data": {"id": "1", "app_access": true, "x": 1}}'));

/** The addresses that the page asks for before the application is there. */
function early(path: string): string[] {
  const asked: string[] = [];
  const fetched = (address: string) => {
    asked.push(address);
    return answer();
  };
  const page = { baseURI: new URL(root, "http://host/").href + "admin/" };
  new Function("window", "document", "location", "fetch", script)(window, page, { pathname: `${root}admin/${path}` }, fetched);
  return asked;
}

describe("what is asked for early", () => {
  let fetched: ReturnType<typeof vi.fn>;
  beforeEach(() => {
    fetched = vi.fn(answer);
    vi.stubGlobal("fetch", fetched);
  });
  afterEach(() => {
    forgetEarly();
    vi.unstubAllGlobals();
  });

  it("is just what the application asks for, so that it asks for nothing twice", async () => {
    expect(early("content/flights")).toHaveLength(8);
    await Promise.all([loadInfo(), load(), loadSchema()]);
    const filter = { collection: { _eq: "flights" }, user: { _eq: "$CURRENT_USER" }, bookmark: { _null: true } };
    await api.get("presets", { filter, fields: ["id", "layout_query"], limit: 1 });
    expect(fetched.mock.calls).toEqual([]);
    expect(window.tabularyEarly).toEqual({});
  });
  it("is taken once", async () => {
    early("");
    await loadInfo();
    await loadInfo();
    expect(fetched).toHaveBeenCalledTimes(1);
  });
  it("is forgotten once something is written, such as a login", async () => {
    early("");
    await api.post("auth/login", {});
    await api.get("permissions/me");
    expect(fetched.mock.calls.map(([address]) => address)).toEqual([`${root}auth/login`, `${root}permissions/me`]);
  });
  it("is no secret before the login, and is right below any path and for any name", () => {
    for (const page of ["login", "login/", "setup", "accept-invite", "register", "reset-password", "logout"]) expect(early(page)).toEqual([`${root}server/info`]);
    expect(early("content/b%20%26c").at(-1)).toBe(`${root}presets?${serialise({ filter: { collection: { _eq: "b &c" }, user: { _eq: "$CURRENT_USER" }, bookmark: { _null: true } }, fields: ["id", "layout_query"], limit: 1 })}`);
    expect(early("content/flights/1").at(-1)).toBe(`${root}relations`);
  });
});
