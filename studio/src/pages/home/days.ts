/** Rows of counts by day and action, as one entry for each of the last days, also the empty ones. */
export interface DayRow { timestamp_year: string | number; timestamp_month: string | number; timestamp_day: string | number; action: string; count: string | number }
export interface Day { date: Date; create: number; update: number; delete: number; other: number; total: number }

export function lastDays(rows: readonly DayRow[], count: number, today: Date): Day[] {
  const days = Array.from({ length: count }, (_, index): Day => {
    const date = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate() - (count - 1 - index)));
    return { date, create: 0, update: 0, delete: 0, other: 0, total: 0 };
  });
  const byTime = new Map(days.map((day) => [day.date.getTime(), day]));
  for (const row of rows) {
    const day = byTime.get(Date.UTC(Number(row.timestamp_year), Number(row.timestamp_month) - 1, Number(row.timestamp_day)));
    if (!day) continue;
    const kind = row.action === "create" || row.action === "update" || row.action === "delete" ? row.action : "other";
    day[kind] += Number(row.count);
    day.total += Number(row.count);
  }
  return days;
}
