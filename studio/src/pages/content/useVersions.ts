/** The versions of the item on the page, and the one that its address names. */
import { api } from "@/api/client";
import type { Key } from "@/api/types";
import { collectionOf, primaryKeyOf } from "@/schema/schema";
import { can } from "@/session/session";
import { useQuery } from "@tanstack/vue-query";
import { computed, type Ref } from "vue";
import { useRoute } from "vue-router";
import { deltaOf, MAIN, type Comparison, type Version } from "./versions";

export function useVersions(collection: () => string, itemKey: Ref<Key | null>) {
  const route = useRoute();
  const offered = computed(() => collectionOf(collection())?.meta?.versioning === true && itemKey.value !== null && can("directus_versions", "read"));
  const wanted = computed(() => {
    const given = route.query.version;
    return typeof given === "string" && given && given !== MAIN ? given : null;
  });
  const list = useQuery({
    queryKey: ["versions", collection, itemKey],
    queryFn: () =>
      api.get<Version[]>("versions", {
        filter: { collection: { _eq: collection() }, item: { _eq: String(itemKey.value) } }, sort: ["date_created"], limit: -1,
        fields: ["id", "key", "name", "collection", "item", "date_created", "date_updated", "user_created"],
      }),
    enabled: offered,
  });
  const all = computed(() => (offered.value ? (list.data.value ?? []) : []));
  const current = computed(() => all.value.find((version) => version.key === wanted.value) ?? null);
  /** The address names a version that is not there (any more), or that one may not see. */
  const missing = computed(() => wanted.value !== null && offered.value && list.data.value !== undefined && !list.isFetching.value && current.value === null);
  const comparison = useQuery({
    queryKey: ["versions", "compare", () => current.value?.id],
    queryFn: () => api.get<Comparison>(`versions/${current.value!.id}/compare`),
    enabled: () => current.value !== null,
    // An open form must not change under one's fingers.
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    staleTime: 0,
  });
  const delta = computed(() => (current.value && comparison.data.value ? deltaOf(comparison.data.value, primaryKeyOf(collection())) : null));
  async function reload() {
    await list.refetch();
    if (current.value) await comparison.refetch();
  }
  return { offered, all, current, missing, comparison, delta, wanted, reload };
}
