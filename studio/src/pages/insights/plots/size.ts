/** How much room an element has, in pixels: plots are drawn for it, so that their text is not stretched. */
import { onBeforeUnmount, onMounted, ref, type Ref } from "vue";

export function useSize(element: Readonly<Ref<HTMLElement | null>>) {
  const width = ref(320);
  const height = ref(160);
  let observer: ResizeObserver | undefined;
  onMounted(() => {
    observer = new ResizeObserver(([entry]) => {
      if (!entry || !entry.contentRect.width || !entry.contentRect.height) return;
      width.value = entry.contentRect.width;
      height.value = entry.contentRect.height;
    });
    if (element.value) observer.observe(element.value);
  });
  onBeforeUnmount(() => observer?.disconnect());
  return { width, height };
}
