/** The names of groups: related items are grouped by their key, but called by their template. */
import { items } from "@/api/client";
import { fieldOf, namingFields, primaryKeyOf, relationFor, templateOf } from "@/schema/schema";
import { render } from "@/schema/templates";
import { can } from "@/session/session";
import { useQuery } from "@tanstack/vue-query";
import { computed } from "vue";
import type { Group } from "./questions";
import { sayValue } from "./show";

export function useGroupNames(collection: () => string, field: () => string, groups: () => Group[]) {
  const related = computed(() => {
    const found = fieldOf(collection(), field());
    const relation = found ? relationFor(found) : null;
    return relation?.kind === "m2o" && can(relation.related, "read") ? relation.related : null;
  });
  const keys = computed(() => groups().map((group) => group.label).filter((key) => key !== null && key !== undefined));
  const names = useQuery({
    queryKey: ["name", "groups", related, keys],
    queryFn: async () => {
      const name = related.value!;
      const pk = primaryKeyOf(name);
      const rows = await items.list(name, { filter: { [pk]: { _in: keys.value } }, fields: namingFields(name), limit: -1 });
      return Object.fromEntries(rows.data.map((row) => [String(row[pk]), render(templateOf(name), row)]));
    },
    enabled: () => related.value !== null && keys.value.length > 0,
    staleTime: 60_000,
  });
  return computed(() => groups().map((group) => ({ value: group.value, label: names.data.value?.[String(group.label)] || sayValue(group.label, collection(), field()) })));
}
