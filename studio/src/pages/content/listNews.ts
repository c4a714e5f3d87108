/** A list that follows what others do: read again in the background, at most every few seconds, and only while it is seen. */
import { useLive } from "@/session/live";
import { useQueryClient } from "@tanstack/vue-query";
import { onBeforeUnmount, onMounted } from "vue";

const ROWS_EVERY = 2_000;
/** Counting can take long on large tables, and the number matters less than the rows. */
const COUNT_EVERY = 15_000;

/** Call `act` soon after `wanted`, but not more often than every `pause` milliseconds. */
export function throttled(act: () => void, pause: number, now: () => number = Date.now) {
  let last = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    wanted() {
      if (timer !== undefined) return;
      timer = setTimeout(() => {
        timer = undefined;
        last = now();
        act();
      }, Math.max(0, last + pause - now()));
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

export function useListNews(collection: string): void {
  const client = useQueryClient();
  const isCount = (key: readonly unknown[]) => key[2] === "count";
  const rows = throttled(() => void client.invalidateQueries({ queryKey: ["items", collection], predicate: (query) => !isCount(query.queryKey) }), ROWS_EVERY);
  const count = throttled(() => void client.invalidateQueries({ queryKey: ["items", collection, "count"] }), COUNT_EVERY);
  let missed = false;
  function changed() {
    missed = document.hidden;
    if (missed) return;
    rows.wanted();
    count.wanted();
  }
  const seen = () => missed && changed();
  useLive(() => ({ collection }), changed);
  onMounted(() => document.addEventListener("visibilitychange", seen));
  onBeforeUnmount(() => {
    document.removeEventListener("visibilitychange", seen);
    rows.stop();
    count.stop();
  });
}
