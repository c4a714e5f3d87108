/** The rows of a to-many field: what is stored, what is changed, and how each entry is called. */
import { items } from "@/api/client";
import type { Item, Key } from "@/api/types";
import type { InputProps } from "@/inputs/contract";
import type { M2A, M2M, O2M } from "@/schema/relations";
import { namingFields, primaryKeyOf, relationFor, templateOf } from "@/schema/schema";
import { fieldsIn, render } from "@/schema/templates";
import { can } from "@/session/session";
import { useQuery } from "@tanstack/vue-query";
import { computed, ref, type Ref } from "vue";
import { changesOf } from "./changes";

export type ToMany = O2M | M2M | M2A;
export interface Entry {
  id: string;
  /** Of the row that hangs on the parent (the junction row, if there is one); undefined while new. */
  key?: Key;
  /** Position among `create`, while new. */
  created?: number;
  row: Item;
  edits?: Item;
  state: "stored" | "created" | "updated" | "deleted";
}

export function useToMany(props: InputProps, limit: Ref<number>) {
  const relation = computed(() => relationFor(props.field) as ToMany | null);
  /** The collection of the rows that hang on the parent. */
  const rowCollection = computed(() => (relation.value ? ("junction" in relation.value ? relation.value.junction : relation.value.related) : ""));
  const keyField = computed(() => primaryKeyOf(rowCollection.value));
  const known = ref(new Map<string, Item>());

  const ownTemplate = computed(() => {
    const given = props.options.template as string | undefined;
    return relation.value?.kind === "o2m" && given ? given : undefined;
  });
  const fields = computed(() => {
    const r = relation.value;
    if (!r) return [];
    const sort = r.sortField ? [r.sortField] : [];
    if (r.kind === "o2m") return [...new Set([keyField.value, ...sort, ...(ownTemplate.value ? fieldsIn(ownTemplate.value) : namingFields(r.related))])];
    const file = r.kind === "m2m" && r.related === "directus_files" ? ["type", "filename_download"] : [];
    const named =
      r.kind === "m2m"
        ? [...namingFields(r.related), ...file].map((name) => `${r.item}.${name}`)
        : [r.collectionField, ...r.allowed.filter((c) => can(c, "read")).flatMap((c) => namingFields(c).map((name) => `${r.item}:${c}.${name}`))];
    return [keyField.value, ...sort, ...named];
  });
  const query = useQuery({
    queryKey: ["many", rowCollection, () => props.itemKey, () => props.field.field, limit],
    queryFn: ({ signal }) =>
      items.list(
        rowCollection.value,
        { filter: { [relation.value!.foreign]: { _eq: props.itemKey } }, fields: fields.value, limit: limit.value, sort: relation.value!.sortField ? [relation.value!.sortField] : [keyField.value], meta: ["filter_count"] },
        signal,
      ),
    enabled: () => props.itemKey !== "+" && relation.value !== null && can(rowCollection.value, "read"),
  });

  const changes = computed(() => changesOf(props.modelValue));
  const entries = computed<Entry[]>(() => {
    const stored = (query.data.value?.data ?? []).map((row): Entry => {
      const key = row[keyField.value] as Key;
      const edits = changes.value.update.find((item) => item[keyField.value] === key);
      const state = changes.value.delete.includes(key) ? "deleted" : edits ? "updated" : "stored";
      return { id: `s${key}`, key, row, edits, state };
    });
    const present = new Set(stored.map((entry) => entry.key));
    // Items that belonged elsewhere and are now linked here are updates of rows that the query did not bring.
    const linked = changes.value.update
      .filter((item) => !present.has(item[keyField.value] as Key))
      .map((item): Entry => ({ id: `l${item[keyField.value]}`, key: item[keyField.value] as Key, row: known.value.get(String(item[keyField.value])) ?? item, edits: item, state: "created" }));
    const created = changes.value.create.map((row, index): Entry => ({ id: `c${index}`, created: index, row, edits: row, state: "created" }));
    const sort = relation.value?.sortField;
    const all = [...stored, ...linked, ...created];
    if (!sort) return all;
    const place = (entry: Entry) => Number(entry.edits?.[sort] ?? entry.row[sort] ?? Number.MAX_SAFE_INTEGER);
    return all.map((entry, index) => ({ entry, index })).sort((a, b) => place(a.entry) - place(b.entry) || a.index - b.index).map(({ entry }) => entry);
  });

  /** The item an entry stands for, with the collection it is in. */
  function itemOf(entry: Entry): { collection: string; item: Item; key?: Key } {
    const r = relation.value!;
    const row = { ...entry.row, ...entry.edits };
    if (r.kind === "o2m") return { collection: r.related, item: row, key: entry.key };
    const collection = r.kind === "m2m" ? r.related : String(row[r.collectionField] ?? "");
    const stored = entry.row[r.item];
    const edited = entry.edits?.[r.item];
    const pk = primaryKeyOf(collection);
    const asItem = (value: unknown): Item => (value !== null && typeof value === "object" ? (value as Item) : value == null ? {} : { [pk]: value });
    const item = { ...asItem(stored), ...asItem(edited) };
    const key = item[pk] as Key | undefined;
    return { collection, item: { ...(key === undefined ? {} : known.value.get(`${collection}/${key}`)), ...item }, key };
  }
  function labelOf(entry: Entry): string {
    const { collection, item, key } = itemOf(entry);
    return render(ownTemplate.value ?? templateOf(collection), item) || String(item.filename_download ?? key ?? "") || "…";
  }
  return { relation, rowCollection, keyField, query, changes, entries, itemOf, labelOf, known };
}
