/**
 * What a field is among relations: pure functions over the answers of /fields and /relations.
 *
 * M2M, files and translations are a junction: an o2m to the junction table plus an m2o on it. M2A is an o2m to a junction
 * whose item column may point at several collections.
 */
import type { Field, Relation } from "@/api/types";

export interface M2O { kind: "m2o"; related: string; relation: Relation }
export interface O2M { kind: "o2m"; related: string; foreign: string; sortField: string | null; relation: Relation }
export interface M2M {
  kind: "m2m";
  variant: "m2m" | "files" | "translations";
  junction: string;
  foreign: string;
  item: string;
  related: string;
  sortField: string | null;
  relation: Relation;
}
export interface M2A {
  kind: "m2a";
  junction: string;
  foreign: string;
  item: string;
  collectionField: string;
  allowed: string[];
  sortField: string | null;
  relation: Relation;
}
export interface A2O { kind: "a2o"; allowed: string[]; collectionField: string; relation: Relation }
export type RelationInfo = M2O | O2M | M2M | M2A | A2O;

export function relationOf(field: Field, relations: readonly Relation[]): RelationInfo | null {
  const many = relations.find((r) => r.collection === field.collection && r.field === field.field);
  if (many?.related_collection) return { kind: "m2o", related: many.related_collection, relation: many };
  if (many?.meta?.one_allowed_collections && many.meta.one_collection_field)
    return {
      kind: "a2o", allowed: many.meta.one_allowed_collections, collectionField: many.meta.one_collection_field,
      relation: many,
    };
  const one = relations.find((r) => r.related_collection === field.collection && r.meta?.one_field === field.field);
  return one ? oneSide(field, one, relations) : null;
}

function oneSide(field: Field, one: Relation, relations: readonly Relation[]): RelationInfo {
  const special = field.meta?.special ?? [];
  const shared = { foreign: one.field, sortField: one.meta?.sort_field ?? null, relation: one };
  const item = one.meta?.junction_field;
  const other = item ? relations.find((r) => r.collection === one.collection && r.field === item) : undefined;
  if (item && other?.related_collection) {
    const variant = special.includes("files") ? "files" : special.includes("translations") ? "translations" : "m2m";
    return { kind: "m2m", variant, junction: one.collection, item, related: other.related_collection, ...shared };
  }
  if (item && other?.meta?.one_allowed_collections && other.meta.one_collection_field)
    return {
      kind: "m2a", junction: one.collection, item, collectionField: other.meta.one_collection_field,
      allowed: other.meta.one_allowed_collections, ...shared,
    };
  return { kind: "o2m", related: one.collection, ...shared };
}
