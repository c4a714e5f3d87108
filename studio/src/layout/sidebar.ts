import { ref } from "vue";

/** On phones the side bar is a drawer; this tells whether it is out. */
export const sideBarOpen = ref(false);
export function openSideBar(): void {
  sideBarOpen.value = true;
}
