/** How panels say their values. */
import { i18n } from "@/i18n";
import { choicesOf } from "@/inputs/contract";
import { fieldOf } from "@/schema/schema";
import { moment } from "@/ui/format";
import { amount, text, toNumber } from "./questions";
import type { Options } from "./types";

/** A number with the panel's digits, notation, and what stands around it. */
export function sayNumber(value: number, options: Options): string {
  const most = amount(options, "maximumFractionDigits") ?? amount(options, "decimals");
  const digits = Math.min(Math.max(most ?? 2, 0), 15);
  const format = new Intl.NumberFormat(i18n.global.locale.value, {
    notation: text(options, "notation") === "compact" ? "compact" : "standard", maximumFractionDigits: digits,
    minimumFractionDigits: Math.min(Math.max(amount(options, "minimumFractionDigits") ?? 0, 0), digits),
  });
  return `${text(options, "prefix")}${format.format(value)}${text(options, "suffix")}`;
}

/** A stored value: by its choice, as a moment, as a number, else as it is. */
export function sayValue(value: unknown, collection: string, name: string, options: Options = {}): string {
  const { t } = i18n.global;
  if (value === null || value === undefined || value === "") return t("insights.empty");
  const field = fieldOf(collection, name);
  const choice = [...choicesOf(field?.meta?.display_options ?? {}), ...choicesOf(field?.meta?.options ?? {})].find((one) => one.value === value);
  if (choice) return choice.text;
  if (typeof value === "boolean") return t(value ? "value.yes" : "value.no");
  if (["date", "dateTime", "timestamp", "time"].includes(field?.type ?? "")) return moment(value, field!.type);
  const number = typeof value === "number" || ["decimal", "bigInteger", "float", "integer"].includes(field?.type ?? "") ? toNumber(value) : null;
  if (number !== null && !field?.schema?.is_primary_key) return sayNumber(number, options);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
