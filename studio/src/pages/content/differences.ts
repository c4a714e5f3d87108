import { stringifyExact } from "@/api/json";
import type { Item } from "@/api/types";

export interface Difference { field: string; before: unknown; after: unknown }

/** The fields of `after` whose value is another one than in `before`. */
export function differences(before: Item, after: Item): Difference[] {
  return Object.entries(after)
    .filter(([field, value]) => stringifyExact(value ?? null) !== stringifyExact(before[field] ?? null))
    .map(([field, value]) => ({ field, before: before[field], after: value }));
}
