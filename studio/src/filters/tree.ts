/**
 * Filters as a tree that can be edited: groups of conditions, each a path, an operator and a value.
 *
 * `parse` takes what the API takes, also implicit ANDs and bare values; what it cannot express as a row is kept as it is
 * (`raw`), so that opening a filter never loses part of it.
 */
import type { Filter } from "@/api/types";

export interface Group { kind: "group"; id: number; logic: "_and" | "_or"; nodes: Node[] }
export interface Condition { kind: "condition"; id: number; path: string; operator: string; value: unknown; quantifier: "" | "_some" | "_none" }
export interface Raw { kind: "raw"; id: number; filter: Filter }
export type Node = Group | Condition | Raw;

let next = 1;
export function group(logic: Group["logic"] = "_and", nodes: Node[] = []): Group {
  return { kind: "group", id: next++, logic, nodes };
}
export function condition(path: string, operator: string, value: unknown = null, quantifier: Condition["quantifier"] = ""): Condition {
  return { kind: "condition", id: next++, path, operator, value, quantifier };
}

export function parse(filter: Filter | null | undefined): Group {
  const nodes = parseObject(filter ?? {});
  const [only] = nodes;
  return nodes.length === 1 && only?.kind === "group" ? only : group("_and", nodes);
}

function parseObject(filter: Filter): Node[] {
  return Object.entries(filter).flatMap(([key, value]): Node[] => {
    if (key === "_and" || key === "_or") {
      const parts = Array.isArray(value) ? (value as Filter[]) : [];
      return parts.length ? [group(key, parts.flatMap((part) => together(parseObject(part))))] : [];
    }
    return parsePath(key, value, "", { [key]: value });
  });
}

/** Several conditions that stood in one object belong together. */
function together(nodes: Node[]): Node[] {
  return nodes.length > 1 ? [group("_and", nodes)] : nodes;
}

function parsePath(path: string, value: unknown, quantifier: Condition["quantifier"], whole: Filter): Node[] {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [condition(path, "_eq", value, quantifier)];
  const entries = Object.entries(value as Filter);
  const parsed = entries.map(([key, inner]): Node[] | null => {
    if (key === "_and" || key === "_or") return null;
    if (key === "_some" || key === "_none") {
      const inside = Object.entries((inner ?? {}) as Filter);
      const [first] = inside;
      if (quantifier || inside.length !== 1 || !first || first[0].startsWith("_")) return null;
      return parsePath(`${path}.${first[0]}`, first[1], key, whole);
    }
    if (key.startsWith("_")) return [condition(path, key, inner, quantifier)];
    return parsePath(`${path}.${key}`, inner, quantifier, whole);
  });
  if (parsed.some((nodes) => nodes === null || nodes.some((node) => node.kind === "raw"))) return [{ kind: "raw", id: next++, filter: whole }];
  return parsed.flatMap((nodes) => nodes ?? []);
}

/** The filter of a tree; empty groups and unfinished conditions are left out. Null when nothing remains. */
export function build(node: Node): Filter | null {
  if (node.kind === "raw") return node.filter;
  if (node.kind === "group") {
    const parts = node.nodes.map(build).filter((part): part is Filter => part !== null);
    if (!parts.length) return null;
    return parts.length === 1 && node.logic === "_and" ? parts[0]! : { [node.logic]: parts };
  }
  if (!node.path || !complete(node)) return null;
  return nest(node);
}

function nest({ path, operator, value, quantifier }: Condition): Filter {
  const parts = split(path);
  // The quantifier stands behind the first relation: "one of the comments …".
  const inner = parts.slice(1).reduceRight<unknown>((rest, part) => ({ [part]: rest }), { [operator]: value });
  const [head = ""] = parts;
  return { [head]: quantifier && parts.length > 1 ? { [quantifier]: inner } : inner } as Filter;
}

/** "author.year(born)" has two parts; dots inside of functions do not part. */
export function split(path: string): string[] {
  return path.split(/\.(?![^(]*\))/);
}

export function complete({ operator, value }: Condition): boolean {
  if (["_null", "_nnull", "_empty", "_nempty"].includes(operator)) return true;
  if (operator === "_between" || operator === "_nbetween") return Array.isArray(value) && value.length === 2 && value.every(given);
  if (operator === "_in" || operator === "_nin") return Array.isArray(value) && value.length > 0;
  return given(value);
}
const given = (value: unknown) => value !== null && value !== undefined && value !== "";

export function countOf(node: Node): number {
  return node.kind === "group" ? node.nodes.reduce((sum, inner) => sum + countOf(inner), 0) : 1;
}
