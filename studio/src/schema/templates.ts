/** Display templates such as "{{ first_name }} {{ last_name }}": which fields they need, and how they read. */
import { stringifyExact } from "@/api/json";
import type { Item } from "@/api/types";

const PLACE = /\{\{\s*(.*?)\s*\}\}/g;

export function fieldsIn(template: string): string[] {
  const names = [...template.matchAll(PLACE)].map((match) => match[1] ?? "").filter((name) => name && !name.startsWith("$"));
  return [...new Set(names)];
}

export function render(template: string, item: Item | null | undefined): string {
  if (!item) return "";
  return template.replace(PLACE, (_, path: string) => text(pick(item, path.trim()))).trim();
}

/** Follow a dotted path; lists answer with the values of all their elements. */
export function pick(value: unknown, path: string): unknown {
  for (const part of path.split(".")) {
    if (Array.isArray(value)) value = value.map((element) => pick(element, part));
    else if (value !== null && typeof value === "object") value = (value as Item)[part.split(":")[0] ?? part];
    else return undefined;
  }
  return value;
}

function text(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(text).filter(Boolean).join(", ");
  if (typeof value === "object") return stringifyExact(value);
  return String(value);
}
