/**
 * What somebody wrote into an input that is no value (yet): broken JSON, half a date. It takes the value's place in the
 * edits, so that nothing is lost and leaving asks; and the client refuses to send it, so that no form can save it.
 */
export type UnreadableKind = "json" | "geometry" | "moment" | "number";

export class Unreadable {
  constructor(
    readonly kind: UnreadableKind,
    readonly text: string,
  ) {}
}

/** The paths of all unreadable values in a body. */
export function unreadableIn(value: unknown, path: (string | number)[] = []): { path: (string | number)[]; kind: UnreadableKind }[] {
  if (value === null || typeof value !== "object" || value instanceof FormData || value instanceof Blob) return [];
  if (value instanceof Unreadable) return [{ path, kind: value.kind }];
  return Object.entries(value).flatMap(([key, member]) => unreadableIn(member, [...path, Array.isArray(value) ? Number(key) : key]));
}
