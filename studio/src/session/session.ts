/**
 * Who is logged in. The session itself is an HttpOnly cookie that scripts cannot read; this module only knows when it
 * ends, renews it in time, and holds what the server says about the user.
 */
import { api, ApiError, onSessionLost } from "@/api/client";
import type { Action, PermissionsMe, ServerInfo, User } from "@/api/types";
import { allows } from "@/session/permissions";
import { computed, reactive, readonly } from "vue";

interface Globals {
  app_access?: boolean;
  admin_access?: boolean;
  enforce_tfa?: boolean;
}

interface State {
  user: User | null;
  permissions: PermissionsMe;
  globals: Globals;
  info: ServerInfo | null;
}

const EXPIRES = "tabulary.session.expires";
const RENEW_BEFORE = 5 * 60_000;
const LONGEST_TIMER = 2 ** 31 - 1;

export const ME_FIELDS = [
  "id", "first_name", "last_name", "email", "avatar", "language", "appearance", "role", "status", "tfa_secret", "last_page",
  "text_direction",
];

const state = reactive<State>({ user: null, permissions: {}, globals: {}, info: null });
export const session = readonly(state) as Readonly<State>;
export const isAdmin = computed(() => state.globals.admin_access === true);
let timer: ReturnType<typeof setTimeout> | undefined;

/** True when the user may do `action` on the collection (and on the field, if one is given). */
export function can(collection: string, action: Action, field?: string): boolean {
  return isAdmin.value || allows(state.permissions, collection, action, field);
}

export async function loadInfo(): Promise<ServerInfo> {
  state.info = await api.get<ServerInfo>("server/info");
  return state.info;
}

/** Load the user of the cookie. Returns false when nobody is logged in or the user may not use the Studio. */
export async function load(): Promise<boolean> {
  try {
    const [user, permissions, globals] = await Promise.all([
      loadMe(),
      api.get<PermissionsMe>("permissions/me"),
      api.get<Globals>("policies/me/globals"),
    ]);
    Object.assign(state, { user, permissions, globals });
  } catch (problem) {
    if (problem instanceof ApiError && problem.status >= 400 && problem.status < 500) return false;
    throw problem;
  }
  renewLater();
  return state.user !== null && state.globals.app_access === true;
}

/** Rules may hide some of these fields from their owner: then the answer is the bare key, and we ask for those that are open. */
async function loadMe(): Promise<User> {
  const user = await api.get<User>("users/me", { fields: ME_FIELDS });
  if (Object.keys(user).length > 1) return user;
  const permissions = await api.get<PermissionsMe>("permissions/me");
  return api.get<User>("users/me", { fields: ME_FIELDS.filter((field) => allows(permissions, "directus_users", "read", field)) });
}

export async function reloadUser(): Promise<void> {
  state.user = await loadMe();
}

export async function login(email: string, password: string, otp?: string): Promise<void> {
  const answer = await api.post<{ expires: number }>("auth/login", {
    email, password, mode: "session", ...(otp ? { otp } : {}),
  });
  remember(answer.expires);
}

export async function logout(): Promise<void> {
  clearTimeout(timer);
  await api.post("auth/logout", { mode: "session" }).catch(() => undefined);
  forget();
}

/** The guest of a share: nobody with an account, but with rights of their own. */
export function enterAsGuest(permissions: PermissionsMe): void {
  clearTimeout(timer);
  Object.assign(state, { user: null, permissions, globals: {} });
}

export function forget(): void {
  clearTimeout(timer);
  localStorage.removeItem(EXPIRES);
  Object.assign(state, { user: null, permissions: {}, globals: {} });
}

onSessionLost(() => {
  if (!state.user) return;
  forget();
  lost.forEach((listener) => listener());
});
const lost = new Set<() => void>();
/** Called when a running session ends without a logout. */
export function onExpired(listener: () => void): void {
  lost.add(listener);
}

function remember(lifetime: number): void {
  localStorage.setItem(EXPIRES, String(Date.now() + lifetime));
}

function renewLater(): void {
  clearTimeout(timer);
  const end = Number(localStorage.getItem(EXPIRES));
  const wait = end ? end - Date.now() - RENEW_BEFORE : 0;
  timer = setTimeout(() => void renew(), Math.min(Math.max(wait, 1000), LONGEST_TIMER));
}

async function renew(): Promise<void> {
  const end = Number(localStorage.getItem(EXPIRES));
  // Another tab may have renewed it meanwhile.
  if (end - Date.now() <= RENEW_BEFORE) {
    try {
      remember((await api.post<{ expires: number }>("auth/refresh", { mode: "session" })).expires);
    } catch {
      timer = setTimeout(() => void renew(), 60_000);
      return;
    }
  }
  renewLater();
}
