/** Languages of the Studio. English is part of the page, others are loaded when chosen. */
import { ref } from "vue";
import { createI18n } from "vue-i18n";
import en, { type Messages } from "./en";

export const languages: Record<string, { name: string; load?: () => Promise<{ default: Messages }> }> = {
  en: { name: "English" },
  de: { name: "Deutsch", load: () => import("./de") },
};
const RIGHT_TO_LEFT = new Set(["ar", "fa", "he", "ur"]);
const CHOSEN = "tabulary.language";

export const i18n = createI18n({
  legacy: false,
  locale: "en",
  fallbackLocale: "en",
  messages: { en } as Record<string, Messages>,
  missingWarn: false,
  fallbackWarn: false,
});

/** "de-DE" and "de" are both German; what we do not speak is English. */
export function languageFor(wanted: readonly (string | null | undefined)[]): string {
  for (const tag of wanted) {
    const short = tag?.toLowerCase().split("-")[0];
    if (short && short in languages) return short;
  }
  return "en";
}

export function preferredLanguages(): string[] {
  return [localStorage.getItem(CHOSEN) ?? "", ...navigator.languages];
}

export async function setLanguage(name: string, remember = false): Promise<void> {
  const load = languages[name]?.load;
  if (load && !i18n.global.availableLocales.includes(name)) i18n.global.setLocaleMessage(name, (await load()).default);
  i18n.global.locale.value = name;
  if (remember) localStorage.setItem(CHOSEN, name);
  document.documentElement.lang = name;
}

/** The direction of the page, for what must know it in a script. */
export const direction = ref<"ltr" | "rtl">("ltr");

export function setDirection(choice: string | null | undefined): void {
  const language = i18n.global.locale.value;
  const automatic = RIGHT_TO_LEFT.has(language) ? "rtl" : "ltr";
  direction.value = choice === "ltr" || choice === "rtl" ? choice : automatic;
  document.documentElement.dir = direction.value;
}
