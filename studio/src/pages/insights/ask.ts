/** The data of a panel: asked with the rights of whoever looks, and again as often as the dashboard says. */
import { api, pathOf } from "@/api/client";
import type { Query } from "@/api/types";
import { collectionOf } from "@/schema/schema";
import { keepPreviousData, useQuery } from "@tanstack/vue-query";
import { computed, inject, type InjectionKey, type Ref } from "vue";
import type { Row } from "./questions";
import type { Options } from "./types";

export interface PanelProps { options: Options; name: string }

/** Seconds between two readings; 0 for never. */
export const REFRESH: InjectionKey<Ref<number>> = Symbol("refresh");

export function useRows(options: () => Options, question: () => Query) {
  const every = inject(REFRESH, undefined);
  const collection = computed(() => String(options().collection ?? ""));
  const query = computed(question);
  return useQuery({
    queryKey: ["panel", collection, query],
    queryFn: ({ signal }) => api.get<Row[]>(pathOf(collection.value), query.value as Query & Record<string, unknown>, signal),
    enabled: () => collectionOf(collection.value) !== undefined,
    // A ref: what a function reads here would not be followed until the next answer comes.
    refetchInterval: computed(() => (every?.value ? every.value * 1000 : false)),
    placeholderData: keepPreviousData,
  });
}
