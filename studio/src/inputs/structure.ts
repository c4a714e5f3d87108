/** From what is written in an editor to the JSON value or geometry that it stands for. */
import { parseExact } from "@/api/json";
import { Unreadable } from "@/api/unreadable";

const GEOMETRIES = new Set(["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"]);

export function readStructure(written: string, kind: "json" | "geometry"): unknown {
  let value: unknown;
  try {
    value = parseExact(written);
  } catch {
    return new Unreadable(kind, written);
  }
  return kind === "json" || value === null || isGeometry(value) ? value : new Unreadable(kind, written);
}

function isGeometry(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { type, coordinates, geometries } = value as { type?: unknown; coordinates?: unknown; geometries?: unknown };
  if (type === "GeometryCollection") return Array.isArray(geometries) && geometries.every(isGeometry);
  return GEOMETRIES.has(String(type)) && Array.isArray(coordinates) && coordinates.length > 0 && coordinates.flat(Infinity).every((part) => typeof part === "number" || /^-?[\d.]+$/.test(String(part)));
}
