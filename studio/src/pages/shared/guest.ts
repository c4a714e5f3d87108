/** Coming in with the link of a share: nobody's account, one item, for reading. */
import { api, speakAsGuest } from "@/api/client";
import type { PermissionsMe } from "@/api/types";
import { loadSchema } from "@/schema/schema";
import { enterAsGuest } from "@/session/session";

export interface ShareInfo {
  id: string;
  collection: string;
  item: string;
  /** Masked; null where the share has none. */
  password: string | null;
  max_uses: number | null;
  times_used: number | null;
  date_start: string | null;
  date_end: string | null;
}
interface Tokens { access_token: string; refresh_token: string; expires: number }

const RENEW_BEFORE = 60_000;
let timer: ReturnType<typeof setTimeout> | undefined;

/** What anybody may know of the share. The cookie of a user who is logged in here stays out of it. */
export function readShare(id: string): Promise<ShareInfo> {
  speakAsGuest("");
  return api.get<ShareInfo>(`shares/info/${id}`);
}

/** Become the guest of the share, and learn what they may see. */
export async function enterShare(share: string, password: string | undefined): Promise<void> {
  speakAsGuest("");
  settle(await api.post<Tokens>("shares/auth", { share, mode: "json", ...(password ? { password } : {}) }));
  enterAsGuest(await api.get<PermissionsMe>("permissions/me"));
  await loadSchema();
}

export function leaveShare(): void {
  clearTimeout(timer);
  speakAsGuest(null);
}

function settle(tokens: Tokens): void {
  speakAsGuest(tokens.access_token);
  clearTimeout(timer);
  timer = setTimeout(() => {
    void api.post<Tokens>("auth/refresh", { mode: "json", refresh_token: tokens.refresh_token }).then(settle, () => undefined);
  }, Math.max(tokens.expires - RENEW_BEFORE, 1000));
}
