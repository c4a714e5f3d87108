/**
 * The grid of a dashboard: which cells panels take, and how they make room. Pure functions, so that pointer, keyboard and
 * tests do the same.
 */
import type { Panel, Place } from "./types";

/** As wide as a dashboard is at least; panels of stored dashboards may reach further. */
export const COLUMNS = 48;
export const SMALLEST = { width: 6, height: 4 };
export interface Placed extends Place { id: string }

export function placeOf(panel: Panel): Placed {
  return { id: panel.id, x: Math.max(1, panel.position_x), y: Math.max(1, panel.position_y), width: Math.max(1, panel.width), height: Math.max(1, panel.height) };
}

export function columnsOf(places: readonly Place[]): number {
  return Math.max(COLUMNS, ...places.map((place) => place.x + place.width - 1));
}

export function overlap(a: Place, b: Place): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** The place with whole cells inside of the grid, no smaller than a panel can be. */
export function fitted(place: Placed, columns: number): Placed {
  const width = Math.min(Math.max(Math.round(place.width), SMALLEST.width), columns);
  const height = Math.max(Math.round(place.height), SMALLEST.height);
  const x = Math.min(Math.max(Math.round(place.x), 1), columns - width + 1);
  return { ...place, width, height, x, y: Math.max(Math.round(place.y), 1) };
}

/**
 * All places after one of them changed: what it covers moves down, and what that covers, too. Panels that nothing was
 * pushed onto stay where they are, also where stored ones overlap.
 */
export function arranged(places: readonly Placed[], changed: Placed): Placed[] {
  const pushing: Placed[] = [changed];
  const settled = new Map([[changed.id, changed]]);
  const rest = places.filter((place) => place.id !== changed.id).sort((a, b) => a.y - b.y || a.x - b.x);
  for (const place of rest) {
    let now = place;
    for (let hit = pushing.find((other) => overlap(now, other)); hit; ) {
      const below = hit.y + hit.height;
      now = { ...now, y: below };
      hit = pushing.find((other) => overlap(now, other));
    }
    if (now !== place) pushing.push(now);
    settled.set(now.id, now);
  }
  return places.map((place) => settled.get(place.id) ?? place);
}

/** The first free place from the top left on for a panel of that size. */
export function freePlace(places: readonly Place[], size: { width: number; height: number }): Place {
  const columns = columnsOf(places);
  const width = Math.min(size.width, columns);
  const bottom = Math.max(0, ...places.map((place) => place.y + place.height - 1));
  for (let y = 1; y <= bottom; y += 1)
    for (let x = 1; x + width - 1 <= columns; x += 1) {
      const place = { x, y, width, height: size.height };
      if (!places.some((other) => overlap(place, other))) return place;
    }
  return { x: 1, y: bottom + 1, width, height: size.height };
}

export type Step = "left" | "right" | "up" | "down";
/** A step by keyboard: moves the panel by a cell, or with `resize` its far edge. */
export function stepped(place: Placed, step: Step, resize: boolean): Placed {
  const by = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] } as const;
  const [dx, dy] = by[step];
  return resize ? { ...place, width: place.width + dx, height: place.height + dy } : { ...place, x: place.x + dx, y: place.y + dy };
}

/** What has to be stored: the panels whose place is another one than before. */
export function changedPlaces(before: readonly Placed[], after: readonly Placed[]) {
  const old = new Map(before.map((place) => [place.id, place]));
  return after
    .filter((place) => JSON.stringify({ ...place }) !== JSON.stringify({ ...old.get(place.id) }))
    .map(({ id, x, y, width, height }) => ({ id, position_x: x, position_y: y, width, height }));
}

/** In reading order, for phones, where panels stand below each other. */
export function inReadingOrder<T extends Place>(places: readonly T[]): T[] {
  return [...places].sort((a, b) => a.y - b.y || a.x - b.x);
}
