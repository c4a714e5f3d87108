/** The collections of the side bar as a tree: folders with what is in them, in the order of the data model. */
import type { Collection } from "@/api/types";
import { allCollections, bySort, isSystem } from "@/schema/schema";
import { can } from "@/session/session";
import { computed } from "vue";

export interface TreeNode { collection: Collection; children: TreeNode[] }

/** Nest collections by `meta.group`; what names a missing group stands at the top. */
export function treeOf(all: readonly Collection[], keep: (collection: Collection) => boolean): TreeNode[] {
  const names = new Set(all.map((c) => c.collection));
  const below = (group: string | null): TreeNode[] =>
    all
      .filter((c) => {
        const parent = c.meta?.group && names.has(c.meta.group) ? c.meta.group : null;
        return parent === group && c.collection !== group;
      })
      .sort(bySort)
      .map((collection) => ({ collection, children: below(collection.collection) }))
      .filter((node) => keep(node.collection) || node.children.length);
  return below(null);
}

export const navigationTree = computed(() =>
  treeOf(
    allCollections.value.filter((c) => !isSystem(c.collection)),
    (c) => Boolean(c.schema && !c.meta?.hidden && c.meta && can(c.collection, "read")),
  ),
);
