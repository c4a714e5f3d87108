/** Reading the answer of /permissions/me. The server decides; this only keeps us from offering what it would refuse. */
import type { Action, PermissionsMe } from "@/api/types";

export function allows(all: PermissionsMe, collection: string, action: Action, field?: string): boolean {
  const granted = all[collection]?.[action];
  if (!granted || granted.access === "none") return false;
  if (field === undefined) return true;
  return granted.fields?.includes("*") === true || granted.fields?.includes(field) === true;
}
