/**
 * Content versions. A version is what the server calls a delta: edits of an item that are kept beside it. The form shows
 * them as edits over the main item, so what a version changes is marked like what one has typed.
 */
import type { Item } from "@/api/types";
import { slugify } from "@/inputs/slug";
import { differences, type Difference } from "./differences";

export interface Version {
  id: string;
  key: string;
  name: string | null;
  collection: string;
  item: string;
  date_created: string | null;
  date_updated: string | null;
  user_created: string | null;
}

/** The answer of /versions/:id/compare: `current` holds the version's own fields only. */
export interface Comparison {
  outdated: boolean;
  mainHash: string;
  current: Item;
  main: Item;
}

export const MAIN = "main";

export function versionLabel(version: Version): string {
  return version.name || version.key;
}

/** A key that the API takes: short, fit for an address, not the reserved one and none of `taken`. */
export function keyFor(name: string, taken: readonly string[]): string {
  const base = slugify(name).slice(0, 60) || "version";
  const used = new Set([MAIN, ...taken]);
  if (!used.has(base)) return base;
  let number = 2;
  while (used.has(`${base}-${number}`)) number += 1;
  return `${base}-${number}`;
}

/** The edits that make up the version: what is stored as in the main item is none, nor is the key. */
export function deltaOf(comparison: Comparison, keyField: string): Item {
  return Object.fromEntries(versionChanges(comparison, keyField).map((change) => [change.field, change.after]));
}

interface Alterations { create?: unknown[]; update?: unknown[]; delete?: unknown[] }
export function isAlterations(value: unknown): value is Alterations {
  return value !== null && typeof value === "object" && !Array.isArray(value) && ["create", "update", "delete"].some((name) => Array.isArray((value as Item)[name]));
}

/**
 * What has to be sent so that the version holds `edits`. The server lays it over the stored delta field by field, so a
 * field that was taken out of the edits is sent with the value of the main item.
 */
export function versionPayload(delta: Item, edits: Item, main: Item): Item {
  const changed = Object.fromEntries(differences(delta, edits).map((change) => [change.field, change.after]));
  for (const [name, value] of Object.entries(delta))
    if (!(name in edits)) changed[name] = isAlterations(value) ? { create: [], update: [], delete: [] } : (main[name] ?? null);
  return changed;
}

/** The fields in which the version differs from the main item; empty changes of relations are none. */
export function versionChanges({ main, current }: Comparison, keyField: string): Difference[] {
  return differences(main, current).filter(({ field, after }) => {
    if (field === keyField) return false;
    return !isAlterations(after) || [after.create, after.update, after.delete].some((part) => part?.length);
  });
}
