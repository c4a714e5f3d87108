import { collectionOf, isSystem } from "@/schema/schema";

export interface ActivityRow { id: number; action: string; timestamp: string; collection: string; item: string; ip: string | null }
export const ACTIONS = ["create", "update", "delete", "revert", "version_save", "comment", "upload", "login", "logout", "run", "install"];

export function toneOf(action: string): string {
  if (action === "create" || action === "upload") return "good";
  if (action === "delete") return "bad";
  return action === "update" || action === "revert" ? "accent" : "";
}

const PAGES: Record<string, string> = { directus_users: "/users/", directus_files: "/files/", directus_roles: "/access/roles/", directus_policies: "/access/policies/", directus_collections: "/model/" };

/** The page of what the row is about, where there is one. */
export function linkOf(row: ActivityRow): string | null {
  if (row.action === "delete") return null;
  const page = PAGES[row.collection];
  if (page) return page + row.item;
  if (collectionOf(row.collection)?.meta?.singleton) return `/content/${row.collection}`;
  return !isSystem(row.collection) && collectionOf(row.collection)?.schema ? `/content/${row.collection}/${encodeURIComponent(row.item)}` : null;
}
