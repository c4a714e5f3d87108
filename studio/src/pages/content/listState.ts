/** What a list shows. It lives in the address, so that back, reload and a copied link bring the same list; columns are remembered for the user. */
import { api } from "@/api/client";
import type { Collection, Filter } from "@/api/types";
import { defaultColumns } from "@/displays/columns";
import { fieldAt } from "@/schema/schema";
import { can, session } from "@/session/session";
import { computed, ref } from "vue";
import { useRoute, useRouter } from "vue-router";

interface Preset {
  id: number;
  layout_query: { tabular?: { fields?: string[]; sort?: string[]; limit?: number } } | null;
}

export function useListState(collection: Collection) {
  const route = useRoute();
  const router = useRouter();
  const name = collection.collection;
  const chosen = ref<string[]>();
  const presetSort = ref<string>();
  let preset: Preset | undefined;

  const text = (key: string) => (typeof route.query[key] === "string" ? route.query[key] : "");
  const set = (changes: Record<string, string | undefined>) => void router.replace({ query: { ...route.query, p: undefined, ...changes } });

  const search = computed({ get: () => text("q"), set: (value) => set({ q: value || undefined }) });
  const filter = computed<Filter | null>({
    get: () => {
      try {
        return text("f") ? (JSON.parse(text("f")) as Filter) : null;
      } catch {
        return null;
      }
    },
    set: (value) => set({ f: value ? JSON.stringify(value) : undefined }),
  });
  const defaultSort = computed(() => presetSort.value ?? collection.meta?.sort_field ?? null);
  const sort = computed<string | null>({ get: () => text("s") || defaultSort.value, set: (value) => set({ s: value ?? undefined }) });
  const page = computed({ get: () => Math.max(1, Number(text("p")) || 1), set: (value) => void router.replace({ query: { ...route.query, p: value > 1 ? String(value) : undefined } }) });
  const limit = computed({ get: () => Number(text("l")) || 25, set: (value) => set({ l: value === 25 ? undefined : String(value) }) });
  const archived = computed<"hide" | "show" | "only">({
    get: () => (text("a") === "show" || text("a") === "only" ? (text("a") as "show" | "only") : "hide"),
    set: (value) => set({ a: value === "hide" ? undefined : value }),
  });

  const archiveFilter = computed<Filter | null>(() => {
    const meta = collection.meta;
    if (!meta?.archive_field || meta.archive_app_filter === false || archived.value === "show") return null;
    const value = fieldAt(name, meta.archive_field)?.type === "boolean" ? meta.archive_value === "true" : meta.archive_value;
    if (archived.value === "only") return { [meta.archive_field]: { _eq: value } };
    // NULL is not archived, but the database's "not equal" does not know that.
    return { _or: [{ [meta.archive_field]: { _neq: value } }, { [meta.archive_field]: { _null: true } }] };
  });
  const wholeFilter = computed<Filter | null>(() => {
    const parts = [archiveFilter.value, filter.value].filter((part): part is Filter => part !== null);
    return parts.length > 1 ? { _and: parts } : (parts[0] ?? null);
  });

  const columns = computed({
    get: () => (chosen.value ?? defaultColumns(collection)).filter((path) => fieldAt(name, path) && can(name, "read", path.split(".")[0])),
    set: (value) => {
      chosen.value = value;
      void remember();
    },
  });

  async function load(): Promise<void> {
    if (!can("directus_presets", "read") || !session.user) return;
    const filter = { collection: { _eq: name }, user: { _eq: "$CURRENT_USER" }, bookmark: { _null: true } };
    const found = await api.get<Preset[]>("presets", { filter, fields: ["id", "layout_query"], limit: 1 }).catch(() => []);
    preset = found?.[0];
    const tabular = preset?.layout_query?.tabular;
    if (tabular?.fields?.length) chosen.value = tabular.fields;
    if (tabular?.sort?.[0]) presetSort.value = tabular.sort[0];
  }
  async function remember(): Promise<void> {
    if (!session.user || !can("directus_presets", "create")) return;
    const tabular = { ...preset?.layout_query?.tabular, fields: chosen.value };
    const body = { layout_query: { ...preset?.layout_query, tabular } };
    if (preset) await api.patch(`presets/${preset.id}`, body).catch(() => undefined);
    else preset = await api.post<Preset>("presets", { ...body, collection: name, user: session.user.id, layout: "tabular" }).catch(() => undefined);
  }
  return { search, filter, sort, page, limit, archived, wholeFilter, columns, load };
}
