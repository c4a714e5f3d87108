/** Round numbers for axes. */
export interface Scale { low: number; high: number; ticks: number[] }

/** A scale over the values with about `count` round steps. Values of one sign start at zero unless `free`. */
export function scaleOf(values: readonly number[], count = 4, bounds: { min?: number | null; max?: number | null } = {}): Scale {
  let low = Math.min(...values, 0);
  let high = Math.max(...values, 0);
  if (bounds.min !== null && bounds.min !== undefined) low = bounds.min;
  if (bounds.max !== null && bounds.max !== undefined) high = bounds.max;
  if (!(high > low)) high = low + 1;
  const step = roundStep((high - low) / count);
  if (bounds.min === null || bounds.min === undefined) low = Math.floor(low / step) * step;
  if (bounds.max === null || bounds.max === undefined) high = Math.ceil(high / step) * step;
  const ticks: number[] = [];
  // By multiplying, since adding up a tenth ten times is not one.
  for (let index = Math.ceil(low / step); index * step <= high + step * 1e-9; index += 1) ticks.push(Number((index * step).toPrecision(12)));
  return { low, high, ticks };
}

/** 1, 2 or 5 times a power of ten, no smaller than asked for. */
export function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const part = rough / power;
  return (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10) * power;
}

/** Where the value stands between the ends of the scale: 0 at the low one, 1 at the high one. */
export function share({ low, high }: Scale, value: number): number {
  return Math.min(Math.max((value - low) / (high - low), 0), 1);
}

/** Which of `count` labels are shown when `room` fit: evenly, with the first one. */
export function labelled(count: number, room: number): (index: number) => boolean {
  const every = Math.max(1, Math.ceil(count / Math.max(1, room)));
  return (index) => index % every === 0;
}

export const COLOURS = ["var(--plot)", "var(--plot-2)", "var(--plot-3)", "var(--plot-4)", "var(--plot-5)", "var(--plot-6)"];
export const colourAt = (index: number): string => COLOURS[index % COLOURS.length]!;

/** A part of a ring between two shares of the whole, as the path of an SVG with its middle at 0,0. */
export function arc(from: number, to: number, outer: number, inner: number): string {
  const point = (at: number, radius: number) => `${(Math.sin(at * 2 * Math.PI) * radius).toFixed(3)} ${(-Math.cos(at * 2 * Math.PI) * radius).toFixed(3)}`;
  // A whole turn ends where it starts and would be nothing.
  const end = Math.min(to, from + 0.99999);
  const large = end - from > 0.5 ? 1 : 0;
  const edge = `M ${point(from, outer)} A ${outer} ${outer} 0 ${large} 1 ${point(end, outer)}`;
  return inner > 0 ? `${edge} L ${point(end, inner)} A ${inner} ${inner} 0 ${large} 0 ${point(from, inner)} Z` : `${edge} L 0 0 Z`;
}
