/** Addresses that come from the data: http, mail and telephone, and paths. Anything that could run is no link. */
export function safeAddress(address: string): string | undefined {
  const text = address.trim();
  if (!text) return undefined;
  try {
    return ["http:", "https:", "mailto:", "tel:"].includes(new URL(text, "http://here.invalid").protocol) ? text : undefined;
  } catch {
    return undefined;
  }
}
