import type { User } from "@/api/types";
import { i18n } from "@/i18n";

/** How a user is called: by name, else by address. */
export function userName(user: Partial<User> | null | undefined): string {
  if (!user) return i18n.global.t("user.system");
  const name = [user.first_name, user.last_name].filter(Boolean).join(" ");
  return name || user.email || (user.id ? user.id.slice(0, 8) : i18n.global.t("user.system"));
}
