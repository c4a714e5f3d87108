/** Which operators a field takes, by its type: the table of the API, so that nothing can be built that it refuses. */
import type { Field } from "@/api/types";
import type { RelationInfo } from "@/schema/relations";

const TEXT = [
  "_eq", "_neq", "_icontains", "_contains", "_ncontains", "_starts_with", "_istarts_with", "_nstarts_with", "_nistarts_with", "_ends_with",
  "_iends_with", "_nends_with", "_niends_with", "_in", "_nin", "_empty", "_nempty", "_null", "_nnull",
];
const ORDERED = ["_eq", "_neq", "_lt", "_lte", "_gt", "_gte", "_between", "_nbetween", "_in", "_nin", "_null", "_nnull"];
const KEY = ["_eq", "_neq", "_in", "_nin", "_null", "_nnull"];
const PRESENCE = ["_null", "_nnull"];

export function operatorsFor(field: Field, relation: RelationInfo | null): string[] {
  if (relation && ["o2m", "m2m", "m2a"].includes(relation.kind)) return ["_nnull", "_null"];
  if (field.meta?.special?.includes("conceal") || field.type === "hash") return ["_nempty", "_empty", "_nnull", "_null"];
  switch (field.type) {
    case "integer": case "bigInteger": case "float": case "decimal": case "date": case "dateTime": case "time": case "timestamp":
      return ORDERED;
    case "boolean":
      return ["_eq", "_neq", "_null", "_nnull"];
    case "uuid":
      return KEY;
    case "json":
      return PRESENCE;
    case "geometry":
      return ["_intersects", "_nintersects", "_intersects_bbox", "_nintersects_bbox", ...PRESENCE];
    default:
      return field.type.startsWith("geometry.") ? PRESENCE : TEXT;
  }
}

/** Functions that turn the field into a number to compare. */
export function functionsFor(field: Field, relation: RelationInfo | null): string[] {
  if (relation && relation.kind !== "m2o" && relation.kind !== "a2o") return ["count"];
  switch (field.type) {
    case "date": return ["year", "month", "week", "day", "weekday"];
    case "dateTime": case "timestamp": return ["year", "month", "week", "day", "weekday", "hour", "minute", "second"];
    case "time": return ["hour", "minute", "second"];
    case "json": return ["count"];
    default: return [];
  }
}

export type Arity = "none" | "one" | "two" | "many" | "json";
export function arityOf(operator: string): Arity {
  if (["_null", "_nnull", "_empty", "_nempty"].includes(operator)) return "none";
  if (["_between", "_nbetween"].includes(operator)) return "two";
  if (["_in", "_nin"].includes(operator)) return "many";
  return operator.includes("intersects") ? "json" : "one";
}

export const NUMERIC_OPERATORS = ["_eq", "_neq", "_lt", "_lte", "_gt", "_gte", "_between", "_nbetween"];
