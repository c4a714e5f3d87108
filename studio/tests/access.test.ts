import type { AccessRow, Permission, Policy, Role } from "@/api/types";
import { effective, grantsFor, itemRule, levelOf, roleChain } from "@/pages/access/effective";
import { allows } from "@/session/permissions";
import { describe, expect, it } from "vitest";

const roles: Role[] = [{ id: "staff", name: "Staff" }, { id: "editor", name: "Editor", parent: "staff" }, { id: "loop", name: "Loop", parent: "loop" }];
const policy = (id: string, more: Partial<Policy> = {}): Policy => ({ id, name: id, ...more });
const policies = [policy("read"), policy("write", { app_access: true }), policy("own"), policy("open"), policy("boss", { admin_access: true })];
const row = (policy: string, more: Partial<AccessRow>): AccessRow => ({ id: policy, policy, role: null, user: null, ...more });
const access = [row("write", { role: "editor" }), row("read", { role: "staff" }), row("own", { user: "u1" }), row("open", {})];
const rule = (policy: string, more: Partial<Permission> = {}): Permission => ({ id: 1, policy, collection: "books", action: "read", permissions: null, validation: null, presets: null, fields: ["*"], ...more });
const names = (subject: { user: string | null; role: string | null }) => effective(subject, roles, access, policies, []).policies.map((p) => p.policy.id);

describe("who holds which policies", () => {
  it("goes from the root role to the own one, the user's last", () => {
    expect(roleChain("editor", roles)).toEqual(["staff", "editor"]);
    expect(names({ user: "u1", role: "editor" })).toEqual(["read", "write", "own"]);
  });
  it("gives the public rules only to those without a role", () => {
    expect(names({ user: null, role: null })).toEqual(["open"]);
    expect(names({ user: "u1", role: null })).toEqual(["open", "own"]);
  });
  it("does not run in circles", () => expect(roleChain("loop", roles)).toEqual(["loop"]));
  it("knows who may use the Studio", () => {
    expect(effective({ user: null, role: "editor" }, roles, access, policies, []).app).toBe(true);
    expect(effective({ user: null, role: "staff" }, roles, access, policies, []).app).toBe(false);
  });
});

describe("levels and rules", () => {
  const limited = rule("read", { permissions: { owner: { _eq: "$CURRENT_USER" } } });
  it("calls a rule partial unless all items and all fields are in it", () => {
    expect(levelOf([], "read")).toBe("none");
    expect(levelOf([limited], "read")).toBe("partial");
    expect(levelOf([rule("read", { fields: ["title"] })], "read")).toBe("partial");
    expect(levelOf([rule("read", { fields: null, action: "delete" })], "delete")).toBe("full");
    expect(levelOf([limited, rule("read", { permissions: {} })], "read")).toBe("full");
  });
  it("joins item rules and puts the user in", () => {
    const found = effective({ user: "u1", role: "staff" }, roles, access, policies, [limited, rule("own", { permissions: { public: { _eq: true } } })]);
    const grants = grantsFor(found, "books", "read");
    expect(itemRule(grants, { user: "u1", role: "staff" })).toEqual({ _or: [{ owner: { _eq: "u1" } }, { public: { _eq: true } }] });
    expect(itemRule([...grants, { ...grants[0]!, rule: rule("read") }], { user: "u1", role: null })).toBeNull();
  });
});

describe("/permissions/me", () => {
  const me = { books: { read: { access: "full" as const, fields: ["title"] }, delete: { access: "none" as const } } };
  it("decides what is offered", () => {
    expect(allows(me, "books", "read")).toBe(true);
    expect(allows(me, "books", "read", "title")).toBe(true);
    expect(allows(me, "books", "read", "secret")).toBe(false);
    expect(allows(me, "books", "delete")).toBe(false);
    expect(allows(me, "tags", "read")).toBe(false);
  });
});
