/** Has somebody else changed the open item? Asked when the server tells of a change, and before saving. */
import { api, ApiError } from "@/api/client";
import type { Item, User } from "@/api/types";
import { useLive } from "@/session/live";
import { can } from "@/session/session";
import { computed, ref, watch, type Ref } from "vue";
import { differences, type Difference } from "./differences";

export interface Theirs { gone: boolean; changes: Difference[]; by: Partial<User> | null; at: string | null }

interface Options {
  collection: () => string;
  itemKey: Ref<string | number | null>;
  /** What the form stands on. */
  stored: Ref<Item>;
  /** Reads the item as `stored` was read. */
  read: () => Promise<Item>;
  /** While this is true, changes are most likely our own; they are looked at afterwards. */
  busy: Ref<boolean>;
}

export function useFreshness({ collection, itemKey, stored, read, busy }: Options) {
  const fresh = ref<Item | null>(null);
  const gone = ref(false);
  const author = ref<{ by: Partial<User> | null; at: string | null }>({ by: null, at: null });
  let told = false;

  // Computed, so that it ends by itself once the form stands on the new state.
  const theirs = computed<Theirs | null>(() => {
    if (gone.value) return { gone: true, changes: [], ...author.value };
    const changes = fresh.value ? differences(stored.value, fresh.value) : [];
    return changes.length ? { gone: false, changes, ...author.value } : null;
  });

  /** Read the item again and tell what others have changed in it; null when nothing. Problems of reading are no news. */
  async function check(): Promise<Theirs | null> {
    if (itemKey.value === null || !Object.keys(stored.value).length) return null;
    const key = itemKey.value;
    try {
      const item = await read();
      if (key !== itemKey.value) return null;
      fresh.value = item;
      gone.value = false;
    } catch (error) {
      if (!(error instanceof ApiError) || (error.status !== 403 && error.status !== 404)) return null;
      gone.value = true;
    }
    if (theirs.value) author.value = await latest(collection(), String(key));
    return theirs.value;
  }
  function forget() {
    fresh.value = null;
    gone.value = false;
  }

  useLive(() => (itemKey.value === null ? null : { collection: collection(), item: String(itemKey.value) }), () => {
    if (busy.value) told = true;
    else void check();
  });
  watch(busy, (now) => {
    if (now || !told) return;
    told = false;
    void check();
  });
  watch(itemKey, forget);
  return { theirs, check, forget };
}

interface Latest { activity: { timestamp: string; user: Partial<User> | null } | null }
/** Who made the last revision and when, where one may know. */
async function latest(collection: string, item: string): Promise<{ by: Partial<User> | null; at: string | null }> {
  const nobody = { by: null, at: null };
  if (!can("directus_revisions", "read")) return nobody;
  const filter = { collection: { _eq: collection }, item: { _eq: item }, version: { _null: true } };
  const fields = ["activity.timestamp", "activity.user.id", "activity.user.first_name", "activity.user.last_name", "activity.user.email"];
  const rows = await api.get<Latest[]>("revisions", { filter, fields, sort: ["-id"], limit: 1 }).catch(() => []);
  const activity = rows[0]?.activity;
  return activity ? { by: activity.user, at: activity.timestamp } : nobody;
}
