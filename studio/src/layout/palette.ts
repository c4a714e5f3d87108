import { ref } from "vue";

export const paletteOpen = ref(false);
export function openPalette(): void {
  paletteOpen.value = true;
}

/** How well `query` fits `text`: 0 not at all, higher is better. Letters must occur in order; starts of words count more. */
export function fit(query: string, text: string): number {
  const wanted = query.toLowerCase().trim();
  const given = text.toLowerCase();
  if (!wanted) return 1;
  const at = given.indexOf(wanted);
  if (at === 0) return 100;
  if (at > 0) return /[\s_/:-]/.test(given.charAt(at - 1)) ? 80 : 60;
  let position = 0;
  let score = 0;
  for (const letter of wanted.replace(/\s+/g, "")) {
    const found = given.indexOf(letter, position);
    if (found < 0) return 0;
    score += found === position ? 3 : 1;
    position = found + 1;
  }
  return Math.min(score, 40);
}
