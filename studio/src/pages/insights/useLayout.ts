/** Moving and sizing panels: shown at once, stored when the hand comes to rest. */
import { api } from "@/api/client";
import { direction, i18n } from "@/i18n";
import { sayProblem } from "@/ui/notify";
import { computed, onBeforeUnmount, ref, type Ref } from "vue";
import { arranged, changedPlaces, columnsOf, fitted, placeOf, stepped, type Placed, type Step } from "./grid";
import type { Panel } from "./types";

/** Between the last key and the writing. */
const REST = 700;

export function useLayout(panels: Ref<Panel[]>, grid: Readonly<Ref<HTMLElement | null>>, rowHeight: number, stored: () => Promise<unknown>) {
  /** The places being worked on; null while they are as stored. */
  const draft = ref<Placed[] | null>(null);
  const said = ref("");
  let timer: ReturnType<typeof setTimeout> | undefined;
  let release: (() => void) | undefined;

  const base = computed(() => panels.value.map(placeOf));
  const places = computed(() => {
    const now = new Map((draft.value ?? []).map((place) => [place.id, place]));
    return base.value.map((place) => now.get(place.id) ?? place);
  });
  const columns = computed(() => columnsOf(base.value));

  function put(from: readonly Placed[], changed: Placed) {
    const place = fitted(changed, columns.value);
    draft.value = arranged(from, place);
    said.value = i18n.global.t("insights.placed", { x: place.x, y: place.y, width: place.width, height: place.height });
  }
  async function store() {
    clearTimeout(timer);
    timer = undefined;
    const changes = draft.value ? changedPlaces(base.value, places.value) : [];
    if (changes.length) {
      try {
        await api.patch("panels", changes);
        await stored();
      } catch (error) {
        sayProblem(error);
      }
    }
    // A key that was pressed meanwhile has its own draft.
    if (timer === undefined) draft.value = null;
  }
  function step(id: string, by: Step, resize: boolean) {
    const place = places.value.find((one) => one.id === id);
    if (!place) return;
    const turned = direction.value === "rtl" && (by === "left" || by === "right") ? (by === "left" ? "right" : "left") : by;
    put(places.value, stepped(place, turned, resize));
    clearTimeout(timer);
    timer = setTimeout(() => void store(), REST);
  }
  function grab(id: string, event: PointerEvent, resize: boolean) {
    const start = places.value.find((one) => one.id === id);
    if (!start || !grid.value || event.button !== 0) return;
    event.preventDefault();
    (event.currentTarget as HTMLElement | null)?.focus();
    const from = [...places.value];
    const cell = grid.value.clientWidth / columns.value;
    const sign = direction.value === "rtl" ? -1 : 1;
    const drag = (now: PointerEvent) => {
      const dx = (sign * (now.clientX - event.clientX)) / cell;
      const dy = (now.clientY - event.clientY) / rowHeight;
      put(from, resize ? { ...start, width: start.width + dx, height: start.height + dy } : { ...start, x: start.x + dx, y: start.y + dy });
    };
    const drop = () => {
      release?.();
      void store();
    };
    const cancel = () => {
      release?.();
      draft.value = null;
    };
    const escape = (key: KeyboardEvent) => key.key === "Escape" && cancel();
    release = () => {
      removeEventListener("pointermove", drag);
      removeEventListener("pointerup", drop);
      removeEventListener("pointercancel", cancel);
      removeEventListener("keydown", escape);
      release = undefined;
    };
    addEventListener("pointermove", drag);
    addEventListener("pointerup", drop);
    addEventListener("pointercancel", cancel);
    addEventListener("keydown", escape);
  }
  onBeforeUnmount(() => {
    release?.();
    if (timer !== undefined) void store();
  });
  return { places, columns, said, step, grab, store };
}
