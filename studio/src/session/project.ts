/** What the project is called. A fresh database says "Directus", which is the API's default and nobody's choice. */
import { session } from "@/session/session";
import { computed } from "vue";

export const projectName = computed(() => {
  const name = session.info?.project.project_name;
  return !name || name === "Directus" ? "Tabulary" : name;
});
