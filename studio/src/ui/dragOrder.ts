/** Sorting a list by dragging its rows. Buttons must offer the same, for keyboards and touch. */
import { ref } from "vue";

export function useDragOrder(move: (from: number, to: number) => void) {
  const from = ref<number | null>(null);
  const over = ref<number | null>(null);
  return {
    over,
    start(index: number, event: DragEvent) {
      from.value = index;
      event.dataTransfer?.setData("text/plain", String(index));
    },
    enter(index: number) {
      if (from.value !== null) over.value = index;
    },
    drop() {
      if (from.value !== null && over.value !== null && from.value !== over.value) move(from.value, over.value);
      from.value = over.value = null;
    },
    end() {
      from.value = over.value = null;
    },
  };
}
