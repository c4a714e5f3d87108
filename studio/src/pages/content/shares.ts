/** Shares: links with which people without an account see one item. */
export interface Share {
  id: string;
  name: string | null;
  role: string | { id: string; name: string } | null;
  /** Masked; null where there is none. */
  password: string | null;
  date_created: string | null;
  date_start: string | null;
  date_end: string | null;
  times_used: number | null;
  max_uses: number | null;
}

export type ShareState = "open" | "early" | "over" | "used";

/** Whether the link works now. As on the server, a share is used up once it was opened more often than `max_uses`. */
export function shareState(share: Pick<Share, "date_start" | "date_end" | "times_used" | "max_uses">, now: Date): ShareState {
  if (share.date_start && new Date(share.date_start) > now) return "early";
  if (share.date_end && new Date(share.date_end) < now) return "over";
  if (share.max_uses !== null && share.max_uses !== undefined && (share.times_used ?? 0) > share.max_uses) return "used";
  return "open";
}

export function shareLink(id: string): string {
  return new URL(`shared/${id}`, document.baseURI).href;
}

export interface ShareForm { name: string; role: string; password: string; clearPassword: boolean; from: string; until: string; uses: string | number }

/** What to send. Moments are given in the reader's zone; an empty password leaves a stored one as it is. */
export function shareBody(form: ShareForm, moment: (text: string) => string | null): Record<string, unknown> {
  const uses = String(form.uses ?? "").trim();
  return {
    name: form.name.trim() || null, role: form.role || null, date_start: moment(form.from), date_end: moment(form.until), max_uses: uses ? Number(uses) : null,
    ...(form.clearPassword ? { password: null } : form.password ? { password: form.password } : {}),
  };
}

export function addressesIn(text: string): string[] {
  return [...new Set(text.split(/[\s,;]+/).filter(Boolean))];
}
