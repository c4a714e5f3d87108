/** Values as people read them, in the language of the Studio. */
import { i18n } from "@/i18n";

function locale(): string {
  return i18n.global.locale.value;
}

const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60],
];

/** "3 hours ago". */
export function relativeTime(value: string | null | undefined): string {
  if (!value) return "";
  const seconds = (new Date(value).getTime() - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  for (const [unit, size] of units) if (Math.abs(seconds) >= size) return format.format(Math.round(seconds / size), unit);
  return format.format(0, "minute");
}

/** A stored moment: dates and times without zone are shown as they are, timestamps in the reader's zone. */
export function moment(value: unknown, type: string): string {
  if (typeof value !== "string" || !value) return "";
  if (type === "time") return value;
  const date = new Date(type === "date" ? `${value.slice(0, 10)}T00:00:00` : value);
  if (Number.isNaN(date.getTime())) return value;
  const style: Intl.DateTimeFormatOptions =
    type === "date" ? { dateStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(locale(), style).format(date);
}

export function number(value: unknown): string {
  if (typeof value === "number") return new Intl.NumberFormat(locale(), { maximumFractionDigits: 20 }).format(value);
  // Big integers and decimals come as text; taking them for floats would change them.
  return String(value);
}

export function bytes(value: unknown): string {
  let size = Number(value);
  if (value === null || value === undefined || Number.isNaN(size)) return "";
  const names = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  let step = 0;
  while (size >= 1000 && step < names.length - 1) {
    size /= 1000;
    step += 1;
  }
  const options = { style: "unit", unit: names[step], maximumFractionDigits: size < 10 && step ? 1 : 0 } as const;
  return new Intl.NumberFormat(locale(), options).format(size);
}
