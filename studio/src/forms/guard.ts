/** Asks before unsaved edits are lost: when leaving the page, when closing the tab. */
import { i18n } from "@/i18n";
import { confirm } from "@/ui/notify";
import { onBeforeUnmount, onMounted, type Ref } from "vue";
import { onBeforeRouteLeave, onBeforeRouteUpdate } from "vue-router";

export function askToLeave(): Promise<boolean> {
  const { t } = i18n.global;
  return confirm({ title: t("guard.title"), text: t("guard.text"), action: t("guard.leave"), danger: true });
}

export function guardUnsaved(dirty: Ref<boolean>): void {
  const leave = async () => !dirty.value || (await askToLeave());
  onBeforeRouteLeave(leave);
  onBeforeRouteUpdate((to, from) => (to.path === from.path ? true : leave()));
  const unload = (event: BeforeUnloadEvent) => dirty.value && event.preventDefault();
  onMounted(() => addEventListener("beforeunload", unload));
  onBeforeUnmount(() => removeEventListener("beforeunload", unload));
}
