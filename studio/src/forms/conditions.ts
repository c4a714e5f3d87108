/** Field conditions: rules over the form's values that hide, lock or require fields while one types. */
import type { Field, Filter, Item } from "@/api/types";

/** Does the item satisfy the filter? Paths through lists hold when one element does. Unknown operators do not. */
export function matches(filter: Filter | null | undefined, item: Item): boolean {
  return Object.entries(filter ?? {}).every(([key, value]) => {
    if (key === "_and") return (value as Filter[]).every((part) => matches(part, item));
    if (key === "_or") return !(value as Filter[]).length || (value as Filter[]).some((part) => matches(part, item));
    return holds(item[key], value);
  });
}

function holds(actual: unknown, rule: unknown): boolean {
  if (rule === null || typeof rule !== "object") return same(actual, rule);
  return Object.entries(rule).every(([operator, wanted]) => {
    if (!operator.startsWith("_")) {
      const nested = Array.isArray(actual) ? actual : [actual];
      return nested.some((part) => matches({ [operator]: wanted }, (part ?? {}) as Item));
    }
    if (operator === "_and" || operator === "_or") {
      const parts = (wanted as unknown[]).map((part) => holds(actual, part));
      return operator === "_and" ? parts.every(Boolean) : parts.some(Boolean);
    }
    return test(operator, actual, wanted);
  });
}

const same = (a: unknown, b: unknown) => a === b || (a !== null && a !== undefined && b !== null && String(a) === String(b));
const empty = (value: unknown) => value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);
const lower = (value: unknown) => String(value ?? "").toLowerCase();

function test(operator: string, actual: unknown, wanted: unknown): boolean {
  if (operator.startsWith("_n") && !["_null", "_nnull", "_nempty"].includes(operator)) return !test(`_${operator.slice(2)}`, actual, wanted);
  switch (operator) {
    case "_eq": return same(actual ?? null, wanted);
    case "_null": return (actual === null || actual === undefined) === (wanted !== false);
    case "_nnull": return (actual !== null && actual !== undefined) === (wanted !== false);
    case "_empty": return empty(actual) === (wanted !== false);
    case "_nempty": return !empty(actual) === (wanted !== false);
    case "_in": return (Array.isArray(wanted) ? wanted : [wanted]).some((value) => same(actual, value));
    case "_between": return Array.isArray(wanted) && compare(actual, wanted[0]) >= 0 && compare(actual, wanted[1]) <= 0;
    case "_lt": return compare(actual, wanted) < 0;
    case "_lte": return compare(actual, wanted) <= 0;
    case "_gt": return compare(actual, wanted) > 0;
    case "_gte": return compare(actual, wanted) >= 0;
    case "_contains": return Array.isArray(actual) ? actual.includes(wanted) : String(actual ?? "").includes(String(wanted));
    case "_icontains": return lower(actual).includes(lower(wanted));
    case "_starts_with": return String(actual ?? "").startsWith(String(wanted));
    case "_istarts_with": return lower(actual).startsWith(lower(wanted));
    case "_ends_with": return String(actual ?? "").endsWith(String(wanted));
    case "_iends_with": return lower(actual).endsWith(lower(wanted));
    case "_regex": return new RegExp(String(wanted)).test(String(actual ?? ""));
    default: return false;
  }
}

function compare(a: unknown, b: unknown): number {
  if (a === null || a === undefined) return NaN;
  const [x, y] = [Number(a), Number(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y) && a !== "" && b !== "") return x - y;
  return String(a).localeCompare(String(b));
}

/** The field as its conditions leave it for these values; the last one that holds wins, as in the reference. */
export function conditioned(field: Field, values: Item): Field {
  const held = field.meta?.conditions?.filter((condition) => matches(condition.rule, values)).at(-1);
  if (!held || !field.meta) return field;
  const { readonly, hidden, required, options } = held;
  const meta = { ...field.meta };
  if (readonly !== undefined) meta.readonly = readonly;
  if (hidden !== undefined) meta.hidden = hidden;
  if (required !== undefined) meta.required = required;
  if (options) meta.options = { ...meta.options, ...options };
  return { ...field, meta };
}
