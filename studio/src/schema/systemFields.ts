/** Forms over system collections show a chosen set of their fields, in our order and widths. */
import type { Field } from "@/api/types";
import { fieldOf } from "@/schema/schema";

/** `names` may carry a width: "email:half". Fields that this user may not see are left out. */
export function chosenFields(collection: string, names: readonly string[]): Field[] {
  return names.flatMap((entry, index) => {
    const [name = "", width] = entry.split(":");
    const field = fieldOf(collection, name);
    if (!field) return [];
    return [{ ...field, meta: { ...field.meta, sort: index, group: null, hidden: false, width: width ?? "full", conditions: null } }];
  });
}
