import type { Field } from "@/api/types";
import { conditioned, matches } from "@/forms/conditions";
import { describe, expect, it } from "vitest";

describe("matches", () => {
  it.each([
    [{ a: { _eq: 1 } }, { a: 1 }, true],
    [{ a: { _eq: "1" } }, { a: 1 }, true],
    [{ a: { _eq: null } }, {}, true],
    [{ a: { _neq: 1 } }, { a: 2 }, true],
    [{ a: { _null: true } }, { a: 0 }, false],
    [{ a: { _nempty: true } }, { a: [] }, false],
    [{ a: { _nin: ["x"] } }, { a: "y" }, true],
    [{ a: { _between: [1, 3] } }, { a: 3 }, true],
    [{ a: { _gt: 3 } }, { a: null }, false],
    [{ a: { _contains: "b" } }, { a: ["a", "b"] }, true],
    [{ a: { _icontains: "HE" } }, { a: "the" }, true],
    [{ a: { b: { _eq: 1 } } }, { a: [{ b: 2 }, { b: 1 }] }, true],
    [{ _or: [{ a: 1 }, { b: 2 }] }, { b: 2 }, true],
    [{ _and: [{ a: 1 }, { b: 2 }] }, { b: 2 }, false],
    [{ a: { _unknown: 1 } }, { a: 1 }, false],
  ])("%j on %j is %s", (filter, item, expected) => expect(matches(filter, item)).toBe(expected));
});

describe("conditioned", () => {
  const field = (conditions: NonNullable<NonNullable<Field["meta"]>["conditions"]>): Field => ({
    collection: "c", field: "f", type: "string", schema: null, meta: { hidden: true, options: { a: 1 }, conditions },
  });
  it("changes what the last condition that holds says, and nothing else", () => {
    const result = conditioned(field([{ rule: { a: 1 }, hidden: false }, { rule: { b: 1 }, required: true, options: { b: 2 } }]), { a: 1, b: 1 });
    expect(result.meta).toMatchObject({ hidden: true, required: true, options: { a: 1, b: 2 } });
  });
  it("leaves the field alone when none holds", () => {
    const given = field([{ rule: { a: 1 }, hidden: false }]);
    expect(conditioned(given, { a: 2 })).toBe(given);
  });
});
