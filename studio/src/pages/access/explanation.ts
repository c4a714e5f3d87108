/** The answer of /permissions/explain, and what it comes to in words of ours (the server's reasons are English). */
export interface Explanation {
  user: { id: string; email: string | null; status: string } | null;
  admin: boolean;
  allowed: boolean;
  reason: string;
  key: string | null;
  policies: { id: string; name: string; in_force: boolean }[];
  rows?: { id: number | null; matches?: boolean }[];
  sql?: string | null;
  values?: unknown[];
}
export type Outcome = "admin" | "inactive" | "none" | "noItem" | "outside" | "covered" | "byRule" | "all";

export function outcomeOf(answer: Explanation): Outcome {
  if (answer.user && answer.user.status !== "active") return "inactive";
  if (answer.admin) return "admin";
  const rows = answer.rows ?? [];
  if (!rows.length) return "none";
  if (answer.key !== null) {
    if (rows.every((row) => row.matches === undefined)) return answer.allowed ? "covered" : "noItem";
    return rows.some((row) => row.matches) ? "covered" : "outside";
  }
  return answer.sql ? "byRule" : "all";
}
