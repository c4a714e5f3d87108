import { describe, expect, it } from "vitest";
import { addressesIn, shareBody, shareState } from "@/pages/content/shares";
import { deltaOf, isAlterations, keyFor, versionChanges, versionPayload } from "@/pages/content/versions";

describe("keys of versions", () => {
  it("come from the name, fit an address and are none of those in use", () => {
    expect(keyFor("Frühjahr 2027!", [])).toBe("fruhjahr-2027");
    expect(keyFor("Main", [])).toBe("main-2");
    expect(keyFor("Draft", ["draft", "draft-2"])).toBe("draft-3");
    expect(keyFor("…", [])).toBe("version");
    expect(keyFor("x".repeat(200), []).length).toBeLessThanOrEqual(64);
  });
});

const none = { create: [], update: [], delete: [] };
describe("the edits of a version", () => {
  const main = { id: 1, title: "Emma", tags: [1, 2], note: null };
  it("are what the server keeps, without the key of the item", () => {
    expect(deltaOf({ outdated: false, mainHash: "", main, current: { id: "1", title: "Emma II", note: null } }, "id")).toEqual({ title: "Emma II" });
  });
  it("are sent where they changed; a field taken back is sent as it is in the main item", () => {
    const delta = { title: "Emma II", note: "n", tags: { ...none, delete: [2] } };
    expect(versionPayload(delta, delta, main)).toEqual({});
    expect(versionPayload(delta, { ...delta, title: "Emma III" }, main)).toEqual({ title: "Emma III" });
    expect(versionPayload(delta, {}, main)).toEqual({ title: "Emma", note: null, tags: none });
  });
  it("differ from the main item only where something changes", () => {
    const current = { id: "1", title: "Emma II", note: null, tags: none };
    expect(versionChanges({ outdated: false, mainHash: "", main, current }, "id").map((change) => change.field)).toEqual(["title"]);
    const more = versionChanges({ outdated: false, mainHash: "", main, current: { tags: { ...none, create: [{ name: "new" }] } } }, "id");
    expect(more.map((change) => change.field)).toEqual(["tags"]);
  });
  it("tell changes of a relation from a value that is an object", () => {
    expect(isAlterations(none)).toBe(true);
    expect(isAlterations({ create: "a text" })).toBe(false);
    expect(isAlterations([1])).toBe(false);
    expect(isAlterations(null)).toBe(false);
  });
});

describe("shares", () => {
  const share = { date_start: null, date_end: null, times_used: 0, max_uses: null };
  const now = new Date("2026-11-23T12:00:00Z");
  it("work within their dates and uses", () => {
    expect(shareState(share, now)).toBe("open");
    expect(shareState({ ...share, date_start: "2026-11-24T00:00:00Z" }, now)).toBe("early");
    expect(shareState({ ...share, date_end: "2026-11-22T00:00:00Z" }, now)).toBe("over");
    expect(shareState({ ...share, max_uses: 2, times_used: 2 }, now)).toBe("open");
    expect(shareState({ ...share, max_uses: 2, times_used: 3 }, now)).toBe("used");
  });
  const form = { name: " ", role: "", password: "", clearPassword: false, from: "", until: "2026-12-01T10:00", uses: "" };
  const stored = (text: string) => (text ? `${text}:00Z` : null);
  it("leave a stored password alone unless there is another one, or none is wanted", () => {
    expect(shareBody(form, stored)).toEqual({ name: null, role: null, date_start: null, date_end: "2026-12-01T10:00:00Z", max_uses: null });
    expect(shareBody({ ...form, password: "p" }, stored)).toMatchObject({ password: "p" });
    expect(shareBody({ ...form, password: "p", clearPassword: true, uses: 3 }, stored)).toMatchObject({ password: null, max_uses: 3 });
  });
  it("go to each address once", () => {
    expect(addressesIn("a@x.org, b@x.org;\na@x.org ")).toEqual(["a@x.org", "b@x.org"]);
  });
});
