/** Columns of a list: which fields they ask for, and which are shown before anyone chooses. */
import type { Collection, Field } from "@/api/types";
import { fieldAt, fieldsOf, isPresentation, namingFields, primaryKeyOf, relationFor, templateOf } from "@/schema/schema";
import { fieldsIn } from "@/schema/templates";
import { can } from "@/session/session";

/** The fields that show the column: for relations those that name the related item, for to-many their number. */
export function fieldsForColumn(collection: string, path: string): string[] {
  const field = fieldAt(collection, path);
  if (!field) return [path];
  const relation = relationFor(field);
  if (!relation) return [path];
  if (relation.kind === "m2o") {
    if (!can(relation.related, "read")) return [path];
    const file = relation.related === "directus_files" ? ["type"] : relation.related === "directus_users" ? ["avatar", "email"] : [];
    return [...namingFields(relation.related), ...file].map((name) => `${path}.${name}`);
  }
  if (relation.kind === "a2o") return [path];
  const at = path.lastIndexOf(".");
  return [at < 0 ? `count(${path})` : `${path.slice(0, at)}.count(${path.slice(at + 1)})`];
}

const BULKY = new Set(["input-rich-text-html", "input-rich-text-md", "input-code", "input-multiline", "list"]);

export function defaultColumns(collection: Collection): string[] {
  const name = collection.collection;
  const usable = fieldsOf(name).filter(
    (field) => !field.meta?.hidden && !isPresentation(field) && can(name, "read", field.field) && !BULKY.has(field.meta?.interface ?? "") &&
      !["json", "hash", "binary", "alias"].includes(field.type) && !field.type.startsWith("geometry") && field.field !== collection.meta?.sort_field,
  );
  // What an item is called by comes first: it is what one looks for, and what one clicks.
  const naming = fieldsIn(templateOf(name));
  const rank = (field: Field) => (naming.includes(field.field) ? 0 : 1);
  const columns = [...usable].sort((a, b) => rank(a) - rank(b)).slice(0, 6).map((field) => field.field);
  return columns.length ? columns : [primaryKeyOf(name)];
}

export function isSortable(collection: string, path: string): boolean {
  const field = fieldAt(collection, path);
  if (!field || field.type === "json" || field.type.startsWith("geometry")) return false;
  const relation = relationFor(field);
  return relation === null || relation.kind === "m2o";
}

/** Where sorting by a column should look: a related item sorts by what it is called, not by its key. */
export function sortPathFor(collection: string, path: string): string {
  const field = fieldAt(collection, path);
  const relation = field ? relationFor(field) : null;
  if (relation?.kind !== "m2o" || !can(relation.related, "read")) return path;
  const named = namingFields(relation.related).find((name) => name !== primaryKeyOf(relation.related));
  return named ? `${path}.${named}` : path;
}

export function isNumeric(field: Field | undefined): boolean {
  return field !== undefined && ["integer", "bigInteger", "float", "decimal"].includes(field.type) && !relationFor(field);
}
