/**
 * Changes of the data model as lists of steps: each one request, with words for what it does to the database. The page
 * shows the words first and then runs the requests in order.
 */
import { api } from "@/api/client";

export interface Step {
  path: string;
  body: unknown;
  /** Message key under "plan." and its values. */
  text: [string, Record<string, string>];
}

type Column = { field: string; type: string; meta?: Record<string, unknown>; schema?: Record<string, unknown> };
export type KeyKind = "integer" | "bigInteger" | "uuid" | "string";

export function keyColumn(kind: KeyKind, field = "id"): Column {
  const schema = { is_primary_key: true, ...(kind === "integer" || kind === "bigInteger" ? { has_auto_increment: true } : {}) };
  const meta = kind === "string" ? { interface: "input" } : { interface: "input", hidden: true, readonly: true, ...(kind === "uuid" ? { special: ["uuid"] } : {}) };
  return { field, type: kind, schema, meta };
}

const CHOICES = [
  { text: "Published", value: "published", color: "#1b9e5a" },
  { text: "Draft", value: "draft", color: "#a2b5cd" },
  { text: "Archived", value: "archived", color: "#d08700" },
];

/** Columns that many collections have, by the name under which they are offered. */
export const OPTIONAL_COLUMNS: Record<string, Column> = {
  status: { field: "status", type: "string", schema: { default_value: "draft", is_nullable: false }, meta: { interface: "select-dropdown", display: "labels", width: "half", options: { choices: CHOICES } } },
  sort: { field: "sort", type: "integer", meta: { interface: "input", hidden: true } },
  date_created: { field: "date_created", type: "timestamp", meta: { special: ["date-created"], interface: "datetime", readonly: true, hidden: true, width: "half", display: "datetime", display_options: { relative: true } } },
  user_created: { field: "user_created", type: "uuid", meta: { special: ["user-created"], interface: "select-dropdown-m2o", readonly: true, hidden: true, width: "half", display: "user" } },
  date_updated: { field: "date_updated", type: "timestamp", meta: { special: ["date-updated"], interface: "datetime", readonly: true, hidden: true, width: "half", display: "datetime", display_options: { relative: true } } },
  user_updated: { field: "user_updated", type: "uuid", meta: { special: ["user-updated"], interface: "select-dropdown-m2o", readonly: true, hidden: true, width: "half", display: "user" } },
};

export function planCollection(name: string, options: { key: KeyKind; keyName: string; singleton: boolean; columns: string[]; group: string | null }): Step[] {
  const meta: Record<string, unknown> = { singleton: options.singleton, group: options.group };
  if (options.columns.includes("status")) Object.assign(meta, { archive_field: "status", archive_value: "archived", unarchive_value: "draft" });
  if (options.columns.includes("sort")) meta.sort_field = "sort";
  const fields = [keyColumn(options.key, options.keyName), ...options.columns.flatMap((column) => OPTIONAL_COLUMNS[column] ?? [])];
  const steps: Step[] = [{ path: "collections", body: { collection: name, schema: {}, meta, fields }, text: ["table", { table: name, columns: fields.map((f) => `${f.field} (${f.type})`).join(", ") }] }];
  for (const column of options.columns.filter((c) => c.startsWith("user_"))) steps.push(relation(name, column, "directus_users", {}, "NO ACTION"));
  return steps;
}

export interface FieldDraft {
  collection: string;
  field: string;
  type: string;
  special: string[];
  interface: string;
  options?: Record<string, unknown> | null;
  meta?: Record<string, unknown>;
  schema?: Record<string, unknown> | null;
}

function column(draft: FieldDraft): Step {
  const { collection, field, type, special, options, schema } = draft;
  const meta = { special: special.length ? special : null, interface: draft.interface, options: options ?? null, ...draft.meta };
  const body = { field, type, meta, ...(type === "alias" ? { schema: null } : { schema: schema ?? {} }) };
  return { path: `fields/${collection}`, body, text: type === "alias" ? ["alias", { field, table: collection }] : ["column", { field, type, table: collection }] };
}

function relation(many: string, field: string, one: string | null, meta: Record<string, unknown>, onDelete?: string): Step {
  const body = { collection: many, field, related_collection: one, meta, ...(one ? { schema: { on_delete: onDelete ?? "SET NULL" } } : {}) };
  return { path: "relations", body, text: one ? ["foreignKey", { table: many, field, related: one }] : ["anyKey", { table: many, field }] };
}

export function planField(draft: FieldDraft): Step[] {
  return [column(draft)];
}

export function planToOne(draft: FieldDraft, related: string, keyType: string, options: { reverse: string; onDelete: string }): Step[] {
  const steps = [column({ ...draft, type: keyType }), relation(draft.collection, draft.field, related, { one_field: options.reverse || null }, options.onDelete)];
  if (options.reverse) steps.push(column({ collection: related, field: options.reverse, type: "alias", special: ["o2m"], interface: "list-o2m" }));
  return steps;
}

export function planToMany(draft: FieldDraft, related: string, foreign: string, keyType: string, options: { exists: boolean; sortField: string; onDelete: string }): Step[] {
  const steps: Step[] = [];
  if (!options.exists) steps.push(column({ collection: related, field: foreign, type: keyType, special: ["m2o"], interface: "select-dropdown-m2o" }));
  if (options.sortField) steps.push(column({ collection: related, field: options.sortField, type: "integer", special: [], interface: "input", meta: { hidden: true } }));
  steps.push(relation(related, foreign, draft.collection, { one_field: draft.field, sort_field: options.sortField || null }, options.onDelete), column({ ...draft, type: "alias" }));
  return steps;
}

const hiddenColumn = (field: string, type: string): Column => ({ field, type, meta: { hidden: true, interface: "input" } });

function junction(name: string, columns: Column[]): Step {
  const fields = [keyColumn("integer"), ...columns];
  return { path: "collections", body: { collection: name, schema: {}, meta: { hidden: true, icon: "import_export" }, fields }, text: ["junction", { table: name, columns: fields.map((f) => f.field).join(", ") }] };
}

export interface JunctionNames { junction: string; here: string; there: string; sort: string }

export function planManyToMany(draft: FieldDraft, related: string, types: { here: string; there: string }, names: JunctionNames): Step[] {
  const columns = [hiddenColumn(names.here, types.here), hiddenColumn(names.there, types.there), ...(names.sort ? [hiddenColumn(names.sort, "integer")] : [])];
  return [
    junction(names.junction, columns),
    relation(names.junction, names.here, draft.collection, { one_field: draft.field, junction_field: names.there, sort_field: names.sort || null }, "CASCADE"),
    relation(names.junction, names.there, related, { junction_field: names.here }, "CASCADE"),
    column({ ...draft, type: "alias" }),
  ];
}

export function planManyToAny(draft: FieldDraft, allowed: string[], keyType: string, names: JunctionNames): Step[] {
  const columns = [hiddenColumn(names.here, keyType), hiddenColumn("item", "string"), hiddenColumn("collection", "string"), ...(names.sort ? [hiddenColumn(names.sort, "integer")] : [])];
  return [
    junction(names.junction, columns),
    relation(names.junction, names.here, draft.collection, { one_field: draft.field, junction_field: "item", sort_field: names.sort || null }, "CASCADE"),
    relation(names.junction, "item", null, { one_collection_field: "collection", one_allowed_collections: allowed, junction_field: names.here }),
    column({ ...draft, type: "alias" }),
  ];
}

export function planTranslations(draft: FieldDraft, keyType: string, hasLanguages: boolean): Step[] {
  const table = `${draft.collection}_translations`;
  const here = `${draft.collection}_id`;
  const languages: Step[] = hasLanguages
    ? []
    : [
        {
          path: "collections",
          body: {
            collection: "languages", schema: {}, meta: { hidden: true, icon: "translate" },
            fields: [keyColumn("string", "code"), { field: "name", type: "string", meta: { interface: "input" }, schema: {} }, { field: "direction", type: "string", meta: { interface: "select-dropdown", options: { choices: [{ text: "Left to right", value: "ltr" }, { text: "Right to left", value: "rtl" }] } }, schema: { default_value: "ltr" } }],
          },
          text: ["table", { table: "languages", columns: "code, name, direction" }],
        },
        { path: "items/languages", body: [{ code: "en-US", name: "English" }, { code: "de-DE", name: "Deutsch" }], text: ["rows", { table: "languages", rows: "en-US, de-DE" }] },
      ];
  return [
    ...languages,
    junction(table, [hiddenColumn(here, keyType), hiddenColumn("languages_code", "string")]),
    relation(table, here, draft.collection, { one_field: draft.field, junction_field: "languages_code" }, "CASCADE"),
    relation(table, "languages_code", "languages", { junction_field: here }, "CASCADE"),
    column({ ...draft, type: "alias" }),
  ];
}

/** Run the steps in order. Throws the first refusal, with how many steps were done before it. */
export async function runSteps(steps: readonly Step[], progress?: (done: number) => void): Promise<void> {
  for (const [index, step] of steps.entries()) {
    await api.post(step.path, step.body);
    progress?.(index + 1);
  }
}

/** A name as databases like it: lower case, words joined by underscores. */
export function columnName(text: string): string {
  return text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/ß/g, "ss").toLowerCase().replace(/[^a-z0-9_]+/g, "_").replace(/^_+|_+$/g, "");
}
