/** Texts that stand in metadata as "$t:…" placeholders: said in our own words where we have some, else made readable. */
import { i18n } from "./index";

/** As `ownText`, for hints: those that we have no words for are better left out. */
export function ownHint(text: string | null | undefined): string {
  return text?.startsWith("$t:") && !i18n.global.te(`terms.${text.slice(3).split(".").at(-1)}`) ? "" : ownText(text);
}

export function ownText(text: string | null | undefined): string {
  if (!text?.startsWith("$t:")) return text ?? "";
  const name = text.slice(3).split(".").at(-1) ?? "";
  const key = `terms.${name}`;
  if (i18n.global.te(key)) return i18n.global.t(key);
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
