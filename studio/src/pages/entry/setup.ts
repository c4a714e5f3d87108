/** What the first-run page knows without a server. */

/** The token in what somebody pasted: a whole link, or the bare token. Empty when there is none. */
export function tokenIn(pasted: string): string {
  const text = pasted.trim();
  const found = /[?&]token=([^&#\s]+)/.exec(text)?.[1] ?? text;
  return /^[\w-]{20,}$/.test(found) ? found : "";
}

const WEAK = "/^.{8,}$/";
const STRONG = "/(?=^.{8,}$)(?=.*\\d)(?=.*[!@#$%^&*()_+}{';'?>.<,])(?!.*\\s)(?=.*[A-Z])(?=.*[a-z]).*$/";

/** How to say the project's rule for passwords, which is a regular expression. */
export function policyKind(policy: string | null | undefined): "free" | "weak" | "strong" | "regex" {
  if (!policy) return "free";
  return policy === WEAK ? "weak" : policy === STRONG ? "strong" : "regex";
}

/** The wire names of the languages that the Studio speaks. */
export const LANGUAGE_TAGS: Record<string, string> = { en: "en-US", de: "de-DE" };
