/**
 * The data model as this user may see it: collections, fields and relations, loaded once and after each change of it.
 */
import { api } from "@/api/client";
import type { Collection, Field, Relation } from "@/api/types";
import { can } from "@/session/session";
import { i18n } from "@/i18n";
import { computed, shallowReactive } from "vue";
import { relationOf, type RelationInfo } from "./relations";
import { fieldsIn } from "./templates";

// Replaced as a whole, never changed in place: no need to watch hundreds of fields one by one.
const state = shallowReactive({ collections: [] as Collection[], fields: [] as Field[], relations: [] as Relation[] });

export async function loadSchema(): Promise<void> {
  const [collections, fields, relations] = await Promise.all([
    api.get<Collection[]>("collections"),
    api.get<Field[]>("fields"),
    api.get<Relation[]>("relations"),
  ]);
  Object.assign(state, { collections, fields, relations });
}

const byName = computed(() => new Map(state.collections.map((c) => [c.collection, c])));
const fieldsByCollection = computed(() => {
  const found = new Map<string, Field[]>();
  for (const field of state.fields) {
    const list = found.get(field.collection);
    if (list) list.push(field);
    else found.set(field.collection, [field]);
  }
  for (const list of found.values()) list.sort((a, b) => (a.meta?.sort ?? 999) - (b.meta?.sort ?? 999));
  return found;
});

export const allCollections = computed(() => state.collections);
export const allRelations = computed(() => state.relations);
/** Collections with a table that are not the system's own. */
export const userCollections = computed(() =>
  state.collections.filter((c) => c.schema && !isSystem(c.collection)).sort(bySort),
);

export function bySort(a: Collection, b: Collection): number {
  return (a.meta?.sort ?? 9999) - (b.meta?.sort ?? 9999) || a.collection.localeCompare(b.collection);
}

export function isSystem(collection: string): boolean {
  return collection.startsWith("directus_");
}
export function collectionOf(name: string): Collection | undefined {
  return byName.value.get(name);
}
export function fieldsOf(collection: string): Field[] {
  return fieldsByCollection.value.get(collection) ?? [];
}
export function fieldOf(collection: string, name: string): Field | undefined {
  return fieldsOf(collection).find((field) => field.field === name);
}
export function primaryKeyOf(collection: string): string {
  return fieldsOf(collection).find((field) => field.schema?.is_primary_key)?.field ?? "id";
}
export function relationFor(field: Field): RelationInfo | null {
  return relationOf(field, state.relations);
}
export function isAutoKey(field: Field): boolean {
  return Boolean(
    field.schema?.is_primary_key && (field.schema.has_auto_increment || field.meta?.special?.includes("uuid")),
  );
}
export function isPresentation(field: Field): boolean {
  return (field.meta?.special ?? []).includes("no-data");
}
/** The field a dotted path ends in. */
export function fieldAt(collection: string, path: string): Field | undefined {
  const [head = "", ...rest] = path.split(".");
  const [name = "", scope] = head.split(":");
  const field = fieldOf(collection, name);
  if (!field || !rest.length) return field;
  const relation = relationFor(field);
  const next = scope ?? (relation && "junction" in relation ? relation.junction : relation && "related" in relation
    ? relation.related : undefined);
  return next ? fieldAt(next, rest.join(".")) : undefined;
}

export function humanize(name: string): string {
  const words = name.replace(/^directus_/, "").replace(/([a-z])([A-Z])/g, "$1 $2").split(/[_\-\s]+/).filter(Boolean);
  return words.map((word, i) => (i ? word : word.charAt(0).toUpperCase() + word.slice(1))).join(" ");
}

function translated(all: { language: string; translation: string }[] | null | undefined): string | undefined {
  const language = i18n.global.locale.value;
  return all?.find((entry) => entry.language === language || entry.language.split("-")[0] === language)?.translation;
}

export function collectionLabel(name: string): string {
  const key = `system.${name}`;
  if (isSystem(name) && i18n.global.te(key)) return i18n.global.t(key);
  return translated(collectionOf(name)?.meta?.translations) ?? humanize(name);
}

export function fieldLabel(collection: string, name: string): string {
  const field = fieldOf(collection, name);
  const key = `fields.${name}`;
  const own = translated(field?.meta?.translations);
  if (own) return own;
  return isSystem(collection) && i18n.global.te(key) ? i18n.global.t(key) : humanize(name);
}

const NAME_FIELDS = ["title", "name", "label", "subject", "headline", "key", "code", "slug", "email"];

/** The template by which an item of the collection is called. */
export function templateOf(collection: string): string {
  const own = collectionOf(collection)?.meta?.display_template;
  if (own && fieldsIn(own).every((path) => readablePath(collection, path))) return own;
  if (collection === "directus_users") return "{{ first_name }} {{ last_name }}";
  if (collection === "directus_files") return "{{ title }}";
  const fields = fieldsOf(collection);
  const named = NAME_FIELDS.find((name) => fields.some((f) => f.field === name));
  if (named) return `{{ ${named} }}`;
  const text = fields.find((f) => (f.type === "string" || f.type === "text") && !f.schema?.is_primary_key && !f.meta?.hidden);
  return `{{ ${text?.field ?? primaryKeyOf(collection)} }}`;
}

function readablePath(collection: string, path: string): boolean {
  return fieldAt(collection, path) !== undefined && can(collection, "read", path.split(".")[0]?.split(":")[0]);
}

/** The fields to ask for so that the item can be named: its key and what its template mentions. */
export function namingFields(collection: string): string[] {
  return [...new Set([primaryKeyOf(collection), ...fieldsIn(templateOf(collection))])];
}
