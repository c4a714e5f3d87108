/** Pages by address. Everything behind the login is a chunk of its own. */
import { forget, isAdmin, load, loadInfo, onExpired, session } from "@/session/session";
import { loadSchema } from "@/schema/schema";
import { settle } from "@/session/settle";
import { queryClient } from "@/query";
import { createRouter, createWebHistory, type RouteLocationNormalized, type RouteRecordRaw } from "vue-router";

declare module "vue-router" {
  interface RouteMeta {
    open?: boolean;
    admin?: boolean;
  }
}

const keyed = (to: RouteLocationNormalized) => ({ collection: String(to.params.collection), itemKey: String(to.params.key) });
/** "key" is a word of Vue's own, so pages get it by another name. */
const named = (name: string) => (to: RouteLocationNormalized) => ({ [name]: String(to.params.key) });
const NotFound = () => import("@/pages/NotFound.vue");
const open = { open: true };
const admin = { admin: true };
const routes: RouteRecordRaw[] = [
  { path: "/login", component: () => import("@/pages/entry/LoginPage.vue"), meta: open },
  { path: "/setup", component: () => import("@/pages/entry/SetupPage.vue"), meta: open },
  { path: "/reset-password", component: () => import("@/pages/entry/ResetPage.vue"), meta: open },
  { path: "/accept-invite", component: () => import("@/pages/entry/AcceptPage.vue"), meta: open },
  { path: "/register", component: () => import("@/pages/entry/RegisterPage.vue"), meta: open },
  { path: "/logout", component: () => import("@/pages/entry/LoginPage.vue"), meta: open },
  { path: "/shared/:key", component: () => import("@/pages/shared/SharedPage.vue"), props: named("shareId"), meta: open },
  {
    path: "/",
    component: () => import("@/layout/AppShell.vue"),
    children: [
      { path: "", component: () => import("@/pages/home/HomePage.vue") },
      { path: "content", component: () => import("@/pages/content/ContentPage.vue") },
      { path: "content/:collection", component: () => import("@/pages/content/CollectionPage.vue"), props: true },
      { path: "content/:collection/:key", component: () => import("@/pages/content/ItemPage.vue"), props: keyed },
      { path: "insights", component: () => import("@/pages/insights/InsightsPage.vue") },
      { path: "insights/:key", component: () => import("@/pages/insights/DashboardPage.vue"), props: named("dashboardId") },
      { path: "files", component: () => import("@/pages/files/FilesPage.vue") },
      { path: "files/:key", component: () => import("@/pages/files/FilePage.vue"), props: named("fileId") },
      { path: "users", component: () => import("@/pages/users/UsersPage.vue") },
      { path: "users/:key", component: () => import("@/pages/users/UserPage.vue"), props: named("userId") },
      { path: "profile", component: NotFound, beforeEnter: () => `/users/${session.user?.id ?? ""}` },
      { path: "tfa-setup", component: NotFound, beforeEnter: () => `/users/${session.user?.id ?? ""}` },
      { path: "access", redirect: "/access/policies" },
      { path: "access/roles", component: () => import("@/pages/access/RolesPage.vue"), meta: admin },
      { path: "access/roles/:key", component: () => import("@/pages/access/RolePage.vue"), props: named("roleId"), meta: admin },
      { path: "access/policies", component: () => import("@/pages/access/PoliciesPage.vue"), meta: admin },
      { path: "access/policies/:key", component: () => import("@/pages/access/PolicyPage.vue"), props: named("policyId"), meta: admin },
      { path: "access/view-as", component: () => import("@/pages/access/ViewAsPage.vue"), meta: admin },
      { path: "model", component: () => import("@/pages/model/ModelPage.vue"), meta: admin },
      { path: "model/:collection", component: () => import("@/pages/model/CollectionModelPage.vue"), props: true, meta: admin },
      { path: "activity", component: () => import("@/pages/activity/ActivityPage.vue") },
      { path: "settings", component: () => import("@/pages/settings/SettingsPage.vue"), meta: admin },
      { path: ":rest(.*)*", component: NotFound },
    ],
  },
];

export const router = createRouter({
  history: createWebHistory(new URL(document.baseURI).pathname),
  routes,
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? false : { top: 0 }),
});

router.beforeEach(async (to) => {
  fetchChunks(to);
  // Side by side: on the way in, all of it is needed before anything is shown.
  const entered = to.meta.open || session.user ? null : enter().then((ok) => ({ ok, problem: null }), (problem: unknown) => ({ ok: false, problem }));
  if (!session.info) await loadInfo().catch(() => undefined);
  if (session.info && !session.info.setupCompleted) return to.path === "/setup" ? true : "/setup";
  // With a token also then: there may be users, but no administrator. The server knows.
  if (to.path === "/setup") return to.query.token ? true : "/";
  if (to.meta.open) return true;
  if (entered) {
    const { ok, problem } = await entered;
    if (problem) throw problem;
    if (!ok) return { path: "/login", query: to.path === "/" ? {} : { redirect: to.fullPath } };
    await settle();
  }
  if (to.meta.admin && !isAdmin.value) return "/";
  return true;
});

async function enter(): Promise<boolean> {
  // Side by side with the question who this is, since both are waited for before anything is shown.
  const schema = loadSchema().then(() => null, (problem: unknown) => problem);
  if (!(await load())) {
    forget();
    return false;
  }
  const problem = await schema;
  if (problem) throw problem;
  return true;
}

/** The page's code comes while one is still being let in. A page that cannot be loaded says so when it is needed. */
function fetchChunks(to: RouteLocationNormalized): void {
  for (const { components } of to.matched)
    for (const load of Object.values(components ?? {}))
      if (typeof load === "function") void (load as () => Promise<unknown>)().catch(() => undefined);
}

onExpired(() => {
  queryClient.clear();
  void router.push({ path: "/login", query: { reason: "expired", redirect: router.currentRoute.value.fullPath } });
});
