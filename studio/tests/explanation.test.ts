import { outcomeOf, type Explanation } from "@/pages/access/explanation";
import { describe, expect, it } from "vitest";

const answer = (more: Partial<Explanation>): Explanation => ({ user: null, admin: false, allowed: true, reason: "", key: null, policies: [], rows: [{ id: 1 }], sql: null, ...more });

describe("what an explanation comes to", () => {
  it("names the first thing that decides", () => {
    const user = { id: "u", email: null, status: "suspended" };
    expect(outcomeOf(answer({ admin: true, user }))).toBe("inactive");
    expect(outcomeOf(answer({ admin: true, user: { ...user, status: "active" } }))).toBe("admin");
    expect(outcomeOf(answer({ allowed: false, rows: [] }))).toBe("none");
  });
  it("tells all items from items by rule", () => {
    expect(outcomeOf(answer({}))).toBe("all");
    expect(outcomeOf(answer({ sql: "SELECT id FROM books WHERE status = $1" }))).toBe("byRule");
  });
  it("judges one item by the rules it satisfies", () => {
    expect(outcomeOf(answer({ key: "1", rows: [{ id: 1, matches: false }, { id: 2, matches: true }] }))).toBe("covered");
    expect(outcomeOf(answer({ key: "1", allowed: false, rows: [{ id: 1, matches: false }] }))).toBe("outside");
    expect(outcomeOf(answer({ key: "9", allowed: false, rows: [{ id: 1 }] }))).toBe("noItem");
  });
});
