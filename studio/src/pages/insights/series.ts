/** Values in the course of time: one point for each stretch of it, also for those in which nothing happened. */
import { aggregated, toNumber, type Precision, type Row } from "./questions";

export interface Point { at: Date; value: number | null }
/** More than this is neither seen nor drawn in time; then only the stretches that have a value are shown. */
const MOST = 1_000;

/** The start of the stretch of a row, taken from its grouped parts ("created_year", …). Null when a part is missing. */
export function startOf(row: Row, field: string, precision: Precision): Date | null {
  const part = (name: string) => toNumber(row[`${field}_${name}`]);
  const year = part("year");
  if (year === null) return null;
  const week = part("week");
  if (week !== null) return weekStart(year, week);
  const at = new Date(Date.UTC(year, (part("month") ?? 1) - 1, part("day") ?? 1, part("hour") ?? 0, part("minute") ?? 0, part("second") ?? 0));
  if (precision === "week") at.setUTCDate(at.getUTCDate() - ((at.getUTCDay() + 6) % 7));
  return at;
}

function together(fn: string, a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return fn === "min" ? Math.min(a, b) : fn === "max" ? Math.max(a, b) : a + b;
}

/** The Monday of an ISO week: the first one holds the fourth of January. */
function weekStart(year: number, week: number): Date {
  const fourth = new Date(Date.UTC(year, 0, 4));
  const day = (fourth.getUTCDay() + 6) % 7;
  return new Date(Date.UTC(year, 0, 4 - day + (week - 1) * 7));
}

export function nextStart(at: Date, precision: Precision): Date {
  const next = new Date(at);
  switch (precision) {
    case "year": next.setUTCFullYear(next.getUTCFullYear() + 1); break;
    case "month": next.setUTCMonth(next.getUTCMonth() + 1); break;
    case "week": next.setUTCDate(next.getUTCDate() + 7); break;
    case "day": next.setUTCDate(next.getUTCDate() + 1); break;
    case "hour": next.setUTCHours(next.getUTCHours() + 1); break;
    case "minute": next.setUTCMinutes(next.getUTCMinutes() + 1); break;
    default: next.setUTCSeconds(next.getUTCSeconds() + 1);
  }
  return next;
}

/** The rows as points in order. Gaps are zero for counts and sums, and no value for what has none (averages). */
export function pointsOf(rows: readonly Row[], field: string, precision: Precision, fn: string): Point[] {
  const found = new Map<number, number | null>();
  for (const row of rows) {
    const at = startOf(row, field, precision);
    const value = toNumber(aggregated(row, fn));
    if (at) found.set(at.getTime(), found.has(at.getTime()) ? together(fn, found.get(at.getTime()) ?? null, value) : value);
  }
  const times = [...found.keys()].sort((a, b) => a - b);
  const [first] = times;
  const last = times.at(-1);
  if (first === undefined || last === undefined) return [];
  const gap = /^(count|sum)/.test(fn) ? 0 : null;
  const points: Point[] = [];
  for (let at = new Date(first); at.getTime() <= last; at = nextStart(at, precision)) {
    if (points.length > MOST) return times.map((time) => ({ at: new Date(time), value: found.get(time) ?? null }));
    points.push({ at, value: found.has(at.getTime()) ? (found.get(at.getTime()) ?? null) : gap });
  }
  return points;
}

/** How a stretch of time is called. Parts come from the server in UTC, so they are said in UTC. */
export function timeFormat(precision: Precision, locale: string, points: readonly Point[]): Intl.DateTimeFormat {
  // A year that is the same everywhere only takes the room of other labels.
  const years = points[0]?.at.getUTCFullYear() === points.at(-1)?.at.getUTCFullYear() ? {} : ({ year: "numeric" } as const);
  const day = { day: "numeric", month: "short" } as const;
  const clock = { hour: "2-digit", minute: "2-digit" } as const;
  const style: Intl.DateTimeFormatOptions =
    precision === "year" ? { year: "numeric" } : precision === "month" ? { month: "short", year: "numeric" } : precision === "week" || precision === "day" ? { ...day, ...years }
      : precision === "second" ? { ...day, ...clock, second: "2-digit" } : { ...day, ...clock };
  return new Intl.DateTimeFormat(locale, { ...style, timeZone: "UTC" });
}
