/** The parts of the Studio that the user may enter. */
import { can, isAdmin } from "@/session/session";
import { Activity, ChartNoAxesCombined, Database, FolderOpen, House, Settings, ShieldCheck, Users } from "lucide-vue-next";
import { computed } from "vue";

export const modules = computed(() => {
  const below = (start: string) => (path: string) => path === start || path.startsWith(`${start}/`);
  return [
    { to: "/", label: "nav.home", icon: House, active: (path: string) => path === "/", show: true },
    { to: "/insights", label: "insights.title", icon: ChartNoAxesCombined, active: below("/insights"), show: can("directus_dashboards", "read") },
    { to: "/files", label: "nav.files", icon: FolderOpen, active: below("/files"), show: can("directus_files", "read") },
    { to: "/users", label: "nav.users", icon: Users, active: below("/users"), show: can("directus_users", "read") },
    { to: "/access/policies", label: "nav.access", icon: ShieldCheck, active: below("/access"), show: isAdmin.value },
    { to: "/model", label: "nav.model", icon: Database, active: below("/model"), show: isAdmin.value },
    { to: "/activity", label: "nav.activity", icon: Activity, active: below("/activity"), show: can("directus_activity", "read") },
    { to: "/settings", label: "nav.settings", icon: Settings, active: below("/settings"), show: isAdmin.value },
  ].filter((module) => module.show);
});
