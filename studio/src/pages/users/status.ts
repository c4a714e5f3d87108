export const STATUSES = ["active", "invited", "unverified", "draft", "suspended", "archived"] as const;

export function statusTone(status: string | undefined): string {
  if (status === "active") return "good";
  if (status === "suspended") return "bad";
  return status === "invited" || status === "unverified" ? "accent" : "";
}
