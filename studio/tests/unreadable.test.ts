import { api, ApiError } from "@/api/client";
import { Unreadable } from "@/api/unreadable";
import { readNumber } from "@/inputs/numbers";
import { readStructure } from "@/inputs/structure";
import StringInput from "@/inputs/StringInput.vue";
import type { Field } from "@/api/types";
import { fieldProblems } from "@/ui/problems";
import { mount } from "@vue/test-utils";
import { afterEach, describe, expect, it, vi } from "vitest";

afterEach(() => vi.unstubAllGlobals());

describe("what cannot be read", () => {
  it("is never sent, and is told at its field", async () => {
    const fetched = vi.fn();
    vi.stubGlobal("fetch", fetched);
    const body = { title: "Emma", data: new Unreadable("json", "{"), author: { update: [{ id: 1, born: new Unreadable("moment", "") }] } };
    const error = await api.patch("items/books/1", body).catch((problem: unknown) => problem);
    expect(error).toBeInstanceOf(ApiError);
    expect(fetched).not.toHaveBeenCalled();
    const told = fieldProblems(error);
    expect(told.data).toBe("This is no valid JSON.");
    expect(told.author).toContain("born: This date or time");
  });
  it("comes from broken JSON and from JSON that is no geometry", () => {
    expect(readStructure("{", "json")).toEqual(new Unreadable("json", "{"));
    expect(readStructure('{"a": [1]}', "json")).toEqual({ a: [1] });
    expect(readStructure('{"a": 1}', "geometry")).toBeInstanceOf(Unreadable);
    expect(readStructure('{"type": "Point", "coordinates": ["x"]}', "geometry")).toBeInstanceOf(Unreadable);
    const point = { type: "Point", coordinates: [13.4, 52.5] };
    expect(readStructure(JSON.stringify(point), "geometry")).toEqual(point);
    const collection = { type: "GeometryCollection", geometries: [point] };
    expect(readStructure(JSON.stringify(collection), "geometry")).toEqual(collection);
  });
});

describe("numbers", () => {
  it("stay text where a script could not hold them, and where the API speaks of them as text", () => {
    expect(readNumber("12", "integer")).toBe(12);
    expect(readNumber("9007199254740993", "integer")).toBe("9007199254740993");
    expect(readNumber("+12", "bigInteger")).toBe("12");
    expect(readNumber(" 12.50 ", "decimal")).toBe("12.50");
    expect(readNumber("1.05", "float")).toBe(1.05);
    expect(readNumber("", "decimal")).toBe(null);
  });
  it("that are none are unreadable", () => {
    for (const [text, type] of [["1.5", "integer"], ["1e3", "bigInteger"], ["-", "decimal"], ["12a", "integer"], ["1e999", "float"], ["1,5", "decimal"]] as const) {
      expect(readNumber(text, type), text).toEqual(new Unreadable("number", text));
    }
  });

  const field = (type: string) => ({ collection: "a", field: "n", type, schema: null, meta: null }) as Field;
  const props = (type: string, modelValue: unknown) => ({ id: "x", field: field(type), modelValue, options: {}, itemKey: "1", values: {} });
  it("beyond 2^53 are shown and handed on digit by digit", async () => {
    const input = mount(StringInput, { props: props("bigInteger", "9007199254740993") });
    expect(input.find("input").element.value).toBe("9007199254740993");
    await input.find("input").setValue("9007199254740995");
    expect(input.emitted("update:modelValue")!.at(-1)).toEqual(["9007199254740995"]);
    expect(mount(StringInput, { props: props("integer", "9007199254740993") }).find("input").attributes("type")).toBe("text");
  });
  it("are not rewritten while one types", async () => {
    const input = mount(StringInput, { props: props("decimal", null) });
    for (const text of ["1", "1.", "1.0", "1.05"]) {
      await input.find("input").setValue(text);
      await input.setProps({ modelValue: input.emitted("update:modelValue")!.at(-1)![0] });
      expect(input.find("input").element.value).toBe(text);
    }
    const float = mount(StringInput, { props: props("float", null) });
    for (const text of ["1", "1.0", "1.05"]) {
      await float.find("input").setValue(text);
      await float.setProps({ modelValue: float.emitted("update:modelValue")!.at(-1)![0] });
      expect(float.find("input").element.value).toBe(text);
    }
    // What comes from elsewhere, an undo say, is shown.
    await float.setProps({ modelValue: 7 });
    expect(float.find("input").element.value).toBe("7");
  });
});
