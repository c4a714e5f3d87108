import { isExact, parseExact, stringifyExact } from "@/api/json";
import { describe, expect, it } from "vitest";
import { reactive } from "vue";

const BIG = "9007199254740993";

describe("reading", () => {
  it("keeps every digit of numbers beyond what a script can hold", () => {
    expect(parseExact(`{"a":${BIG},"b":-${BIG},"c":[18446744073709551615],"d":0.12345678901234567890123,"e":1e400}`)).toEqual({
      a: BIG, b: `-${BIG}`, c: ["18446744073709551615"], d: "0.12345678901234567890123", e: "1e400",
    });
  });
  it("leaves all others numbers", () => {
    const text = '{"a":9007199254740991,"b":-1.5e-7,"c":0.1,"d":1.10,"e":123456789012345.7,"f":1e21,"g":100000000000000000}';
    const read = parseExact(text) as Record<string, unknown>;
    expect(read).toMatchObject({ a: 9007199254740991, b: -1.5e-7, c: 0.1, d: 1.1, e: 123456789012345.7 });
    expect([String(read.f), read.g]).toEqual(["1e21", "100000000000000000"]);
  });
  it("leaves texts alone, also those that look like numbers or hold quotes", () => {
    const value = { a: BIG, b: `x "${BIG}" \\" ${BIG}`, [BIG]: "\\", c: `[${BIG}]` };
    expect(parseExact(JSON.stringify(value))).toEqual(value);
    expect(() => parseExact(`{"a": ${BIG}`)).toThrow(SyntaxError);
  });
});

describe("writing", () => {
  it("writes back what was a number as the same number, wherever it stands", () => {
    const text = `{"a":${BIG},"b":{"c":[1,${BIG},"${BIG}"]},"d":"${BIG}"}`;
    expect(stringifyExact(parseExact(text))).toBe(text);
    expect(stringifyExact({ value: (parseExact(text) as { b: unknown }).b })).toBe(`{"value":{"c":[1,${BIG},"${BIG}"]}}`);
  });
  it("does so through what Vue makes of it", () => {
    const held = reactive({ json: parseExact(`{"n":${BIG}}`) });
    expect(stringifyExact(held)).toBe(`{"json":{"n":${BIG}}}`);
  });
  it("writes a member that was changed as what it is now", () => {
    const read = parseExact(`{"n":${BIG}}`) as Record<string, unknown>;
    read.n = "text";
    expect(stringifyExact(read)).toBe('{"n":"text"}');
    expect(stringifyExact({ a: "1", b: [undefined], c: new Date(0) }, 1)).toBe(JSON.stringify({ a: "1", b: [undefined], c: new Date(0) }, null, 1));
  });
});

describe("what is exact", () => {
  it.each([["0", true], ["-0", true], ["1.50", true], ["0.1", true], ["1e3", true], ["9007199254740991", true], ["9007199254740992", false], ["0.30000000000000004", true], ["0.300000000000000040", true], ["0.3000000000000000401", false], ["", true], ["1e999", false]])("%s: %s", (token, expected) => {
    expect(isExact(token)).toBe(expected);
  });
});
