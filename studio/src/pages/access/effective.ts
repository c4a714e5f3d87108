/**
 * Who may do what, and why: computed from the stored policies as the server does it (spec users-and-access §4).
 *
 * The rules of a subject are not merged. A collection is open for an action when any rule grants it; every rule keeps the
 * name of the policy it comes from, which is the "why".
 */
import type { AccessRow, Action, Filter, Permission, Policy, Role } from "@/api/types";

export interface Subject { user: string | null; role: string | null }
export interface Grant { policy: Policy; rule: Permission; via: "role" | "user" | "public" }
export interface Effective { admin: boolean; app: boolean; policies: { policy: Policy; via: Grant["via"] }[]; grants: Grant[] }
export type Level = "none" | "partial" | "full";

/** The role and its ancestors, root first. A cycle ends the walk. */
export function roleChain(role: string | null, roles: readonly Role[]): string[] {
  const chain: string[] = [];
  for (let id = role; id && !chain.includes(id); id = roles.find((r) => r.id === id)?.parent ?? null) chain.unshift(id);
  return chain;
}

export function effective(
  subject: Subject, roles: readonly Role[], access: readonly AccessRow[], policies: readonly Policy[], permissions: readonly Permission[],
): Effective {
  const chain = roleChain(subject.role, roles);
  const reached: { policy: Policy; via: Grant["via"]; place: number }[] = [];
  for (const row of access) {
    const policy = policies.find((p) => p.id === row.policy);
    if (!policy) continue;
    if (row.role && chain.includes(row.role)) reached.push({ policy, via: "role", place: chain.indexOf(row.role) });
    else if (row.user && row.user === subject.user) reached.push({ policy, via: "user", place: chain.length });
    // Who has a role does not inherit the public rules; who has none does.
    else if (!row.role && !row.user && !subject.role) reached.push({ policy, via: "public", place: -1 });
  }
  reached.sort((a, b) => a.place - b.place);
  const list = reached.filter((entry, index) => reached.findIndex((other) => other.policy.id === entry.policy.id) === index);
  const grants = list.flatMap(({ policy, via }) => permissions.filter((rule) => rule.policy === policy.id).map((rule) => ({ policy, rule, via })));
  const admin = list.some(({ policy }) => policy.admin_access);
  return { admin, app: admin || list.some(({ policy }) => policy.app_access), policies: list, grants };
}

export function grantsFor(found: Effective, collection: string, action: Action): Grant[] {
  return found.grants.filter(({ rule }) => rule.collection === collection && rule.action === action);
}

export function isEmpty(filter: Filter | null | undefined): boolean {
  return !filter || Object.keys(filter).length === 0;
}

export function levelOf(rules: readonly Permission[], action: Action): Level {
  if (!rules.length) return "none";
  const whole = rules.some((rule) => isEmpty(rule.permissions) && (action === "delete" || action === "share" || rule.fields?.includes("*")) && isEmpty(rule.validation));
  return whole ? "full" : "partial";
}

/** The item rule of all grants together, with $CURRENT_USER and $CURRENT_ROLE put in. Null when everything is visible. */
export function itemRule(grants: readonly Grant[], subject: Subject): Filter | null {
  if (grants.some(({ rule }) => isEmpty(rule.permissions))) return null;
  const rules = grants.map(({ rule }) => substitute(rule.permissions, subject) as Filter);
  return rules.length === 1 ? rules[0]! : { _or: rules };
}

function substitute(value: unknown, subject: Subject): unknown {
  if (value === "$CURRENT_USER") return subject.user;
  if (value === "$CURRENT_ROLE") return subject.role;
  if (Array.isArray(value)) return value.map((entry) => substitute(entry, subject));
  if (value !== null && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, substitute(inner, subject)]));
  return value;
}
