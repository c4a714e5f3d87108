/** Between stored moments and the browser's date inputs. Timestamps are shown in the reader's zone and stored in UTC. */

function two(value: number): string {
  return String(value).padStart(2, "0");
}

export function toInput(value: unknown, type: string): string {
  if (typeof value !== "string") return "";
  if (type === "date") return value.slice(0, 10);
  if (type === "time") return value.slice(0, 8);
  if (type === "dateTime") return value.slice(0, 19);
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return "";
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function fromInput(text: string, type: string): string | null {
  if (!text) return null;
  if (type === "date") return text;
  const full = /(^|T)\d\d:\d\d$/.test(text) ? `${text}:00` : text;
  return type === "timestamp" ? new Date(full).toISOString() : full;
}
