/** Light, dark, or what the system says. Remembered here too, so that the first paint is right (public/appearance.js). */
import { ref } from "vue";

export type Appearance = "auto" | "light" | "dark";
const KEY = "tabulary.appearance";
const system = matchMedia("(prefers-color-scheme: dark)");
export const appearance = ref<Appearance>("auto");
export const isDark = ref(system.matches);

function apply(): void {
  const choice = appearance.value;
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  isDark.value = choice === "dark" || (choice === "auto" && system.matches);
}

export function setAppearance(choice: Appearance | null | undefined): void {
  appearance.value = choice ?? "auto";
  localStorage.setItem(KEY, appearance.value);
  apply();
}

export function startAppearance(): void {
  const stored = localStorage.getItem(KEY);
  appearance.value = stored === "light" || stored === "dark" ? stored : "auto";
  system.addEventListener("change", apply);
  apply();
}
