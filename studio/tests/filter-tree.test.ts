import { build, complete, condition, countOf, group, parse, split } from "@/filters/tree";
import { describe, expect, it } from "vitest";

const again = (filter: Record<string, unknown>) => build(parse(filter));

describe("filters as trees", () => {
  it.each([
    [{ status: { _eq: "published" } }],
    [{ _or: [{ title: { _icontains: "a" } }, { views: { _gt: 3 } }] }],
    [{ _and: [{ a: { _null: true } }, { _or: [{ b: { _in: [1, 2] } }, { c: { _between: [1, 9] } }] }] }],
    [{ author: { country: { name: { _eq: "France" } } } }],
    [{ comments: { _some: { approved: { _eq: true } } } }],
    [{ tags: { _none: { tags_id: { name: { _eq: "x" } } } } }],
    [{ "year(published)": { _gte: 1815 } }],
    [{ author: { "year(born)": { _lt: 1800 } } }],
    [{ "item:text": { heading: { _eq: "x" } } }],
  ])("keeps %j as it is", (filter) => {
    expect(again(filter)).toEqual(filter);
  });

  it("takes bare values and implicit conjunctions", () => {
    expect(again({ a: 1, b: { _gt: 2, _lt: 5 } })).toEqual({ _and: [{ a: { _eq: 1 } }, { b: { _gt: 2 } }, { b: { _lt: 5 } }] });
  });

  it("keeps together what stood in one branch of an _or", () => {
    const filter = { _or: [{ a: { _eq: 1 }, b: { _eq: 2 } }, { c: { _eq: 3 } }] };
    expect(again(filter)).toEqual({ _or: [{ _and: [{ a: { _eq: 1 } }, { b: { _eq: 2 } }] }, { c: { _eq: 3 } }] });
  });

  it.each([[{ comments: { _some: { _or: [{ a: { _eq: 1 } }] } } }], [{ a: { _or: [{ _eq: 1 }, { _eq: 2 }] } }]])(
    "does not lose %j, which no row can show",
    (filter) => {
      const tree = parse(filter);
      expect(tree.nodes[0]?.kind).toBe("raw");
      expect(build(tree)).toEqual(filter);
    },
  );

  it("leaves out what is unfinished", () => {
    expect(build(group("_and", [condition("a", "_eq", ""), condition("b", "_in", []), condition("c", "_between", [1, null])]))).toBeNull();
    expect(complete(condition("a", "_null"))).toBe(true);
    expect(complete(condition("a", "_eq", 0))).toBe(true);
  });

  it("counts conditions and splits paths outside of functions", () => {
    expect(countOf(parse({ _or: [{ a: 1 }, { b: 2 }] }))).toBe(2);
    expect(split("author.json(meta, a.b).x")).toEqual(["author", "json(meta, a.b)", "x"]);
  });
});
