/**
 * Changes of a to-many relation before they are saved: the {create, update, delete} object that the API takes, kept
 * immutable. An empty one is undefined, so that the form sees no edit.
 */
import type { Item, Key } from "@/api/types";

export interface Changes { create: Item[]; update: Item[]; delete: Key[] }

export function changesOf(value: unknown): Changes {
  const given = value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Partial<Changes>) : {};
  return { create: given.create ?? [], update: given.update ?? [], delete: given.delete ?? [] };
}

export function compact(changes: Changes): Changes | undefined {
  return changes.create.length || changes.update.length || changes.delete.length ? changes : undefined;
}

export function addCreate(changes: Changes, ...added: Item[]): Changes {
  return { ...changes, create: [...changes.create, ...added] };
}
export function setCreate(changes: Changes, index: number, item: Item | null): Changes {
  const create = changes.create.flatMap((old, i) => (i === index ? (item ? [item] : []) : [old]));
  return { ...changes, create };
}
/** Lay `edits` over what is already changed on the row of that key. */
export function mergeUpdate(changes: Changes, keyField: string, key: Key, edits: Item): Changes {
  const old = changes.update.find((item) => item[keyField] === key);
  const rest = changes.update.filter((item) => item[keyField] !== key);
  return { ...changes, update: [...rest, { ...old, ...edits, [keyField]: key }] };
}
export function dropUpdate(changes: Changes, keyField: string, key: Key): Changes {
  return { ...changes, update: changes.update.filter((item) => item[keyField] !== key) };
}
export function toggleDelete(changes: Changes, key: Key): Changes {
  const deleted = changes.delete.includes(key);
  return { ...changes, delete: deleted ? changes.delete.filter((k) => k !== key) : [...changes.delete, key] };
}

/** Move one entry of a list to another place. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const next = [...list];
  const [entry] = next.splice(from, 1);
  if (entry !== undefined) next.splice(to, 0, entry);
  return next;
}
