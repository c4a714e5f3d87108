/**
 * What panels ask the server, and how its answers read: aggregates over a collection, with the rights of whoever looks.
 * Counts and sums may come as text (PostgreSQL), so they are made numbers here.
 */
import type { Filter, Query } from "@/api/types";
import type { Options } from "./types";

export const AGGREGATES = ["count", "countDistinct", "sum", "sumDistinct", "avg", "avgDistinct", "min", "max"] as const;
/** Also a single value: that of the first or last row by a sort. */
export const FUNCTIONS = [...AGGREGATES, "first", "last"] as const;
export const PRECISIONS = ["second", "minute", "hour", "day", "week", "month", "year"] as const;
export type Precision = (typeof PRECISIONS)[number];
export type Row = Record<string, unknown>;

export const text = (options: Options, name: string): string => (typeof options[name] === "string" ? (options[name] as string) : "");
export function amount(options: Options, name: string): number | null {
  const value = options[name];
  return value === null || value === undefined || value === "" || Number.isNaN(Number(value)) ? null : Number(value);
}
export const flag = (options: Options, name: string, otherwise = false): boolean => (typeof options[name] === "boolean" ? (options[name] as boolean) : otherwise);

function filterOf(options: Options, ...more: (Filter | null)[]): Filter | null {
  const given = options.filter;
  const parts = [given && typeof given === "object" && Object.keys(given).length ? (given as Filter) : null, ...more].filter((part): part is Filter => part !== null);
  return parts.length > 1 ? { _and: parts } : (parts[0] ?? null);
}

/** Counting works without a field; everything else needs one. */
function aggregateOf(fn: string, field: string): Record<string, string[]> {
  return { [fn]: [field || "*"] };
}
export function isComplete(options: Options, field: string): boolean {
  const fn = text(options, "function") || "count";
  return text(options, "collection") !== "" && (fn === "count" || text(options, field) !== "");
}

export function toNumber(value: unknown): number | null {
  if (value === null || value === undefined || value === "") return null;
  const number = Number(value);
  return Number.isNaN(number) ? null : number;
}
/** The one value of an aggregate: `count(*)` answers bare, everything else by field. */
export function aggregated(row: Row | undefined, fn: string): unknown {
  const value = row?.[fn];
  return value !== null && typeof value === "object" ? Object.values(value)[0] : value;
}

export function singleQuestion(options: Options): Query {
  const fn = text(options, "function") || "count";
  const field = text(options, "field");
  if (fn === "first" || fn === "last") {
    const sort = text(options, "sortField") || field;
    return { fields: [field], filter: filterOf(options), sort: [fn === "first" ? sort : `-${sort}`], limit: 1 };
  }
  return { aggregate: aggregateOf(fn, field), filter: filterOf(options) };
}
export function singleAnswer(options: Options, rows: readonly Row[]): unknown {
  const fn = text(options, "function") || "count";
  return fn === "first" || fn === "last" ? rows[0]?.[text(options, "field")] : aggregated(rows[0], fn);
}

/** "7 days", "1 week": how far back. Empty and "auto" mean everything. */
export function rangeOf(options: Options): string | null {
  const given = text(options, "range");
  return /^\d+(\.\d+)? *[a-z]+$/i.test(given) ? given : null;
}
export function seriesQuestion(options: Options): Query {
  const date = text(options, "dateField");
  const range = rangeOf(options);
  const parts = partsOf(precisionOf(options), text(options, "function") || "count");
  return {
    aggregate: aggregateOf(text(options, "function") || "count", text(options, "valueField")), groupBy: parts.map((part) => `${part}(${date})`), limit: -1,
    filter: filterOf(options, range ? { [date]: { _gte: `$NOW(-${range})` } } : null),
  };
}
export function precisionOf(options: Options): Precision {
  const given = text(options, "precision") as Precision;
  return PRECISIONS.includes(given) ? given : "day";
}
/** Values that can be put together from those of single days. */
const ADDABLE = new Set(["count", "sum", "min", "max"]);

/** What rows are grouped by. Weeks do not end with the year, so they are put together from days wherever that is exact. */
export function partsOf(precision: Precision, fn: string): string[] {
  switch (precision) {
    case "year": return ["year"];
    case "month": return ["year", "month"];
    case "week": return ADDABLE.has(fn) ? ["year", "month", "day"] : ["year", "week"];
    case "day": return ["year", "month", "day"];
    case "hour": return ["year", "month", "day", "hour"];
    case "minute": return ["year", "month", "day", "hour", "minute"];
    default: return ["year", "month", "day", "hour", "minute", "second"];
  }
}

export interface Group { label: unknown; value: number }
export function groupQuestion(options: Options, by: string, field: string, most: number): Query {
  const fn = text(options, "function") || "count";
  const target = text(options, field);
  const order = target ? `${fn}.${target}` : "count";
  return { aggregate: aggregateOf(fn, target), groupBy: [text(options, by)], filter: filterOf(options), sort: [text(options, "sortDirection") === "asc" ? order : `-${order}`], limit: most };
}
export function groupAnswer(options: Options, by: string, rows: readonly Row[]): Group[] {
  const fn = text(options, "function") || "count";
  const column = text(options, by);
  return rows.map((row) => ({ label: row[column], value: toNumber(aggregated(row, fn)) ?? 0 }));
}

export function listQuestion(options: Options, fields: string[], keyField: string): Query {
  const sort = text(options, "sortField") || keyField;
  return { fields, filter: filterOf(options), sort: [text(options, "sortDirection") === "asc" ? sort : `-${sort}`], limit: Math.min(Math.max(amount(options, "limit") ?? 5, 1), 100) };
}
