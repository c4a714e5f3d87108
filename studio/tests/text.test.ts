import { serialise } from "@/api/client";
import en from "@/i18n/en";
import de from "@/i18n/de";
import { slugify } from "@/inputs/slug";
import { fromInput, toInput } from "@/inputs/moments";
import { fit } from "@/layout/palette";
import { differences } from "@/pages/content/differences";
import { lastDays } from "@/pages/home/days";
import { columnName, planManyToMany, planToOne } from "@/pages/model/plan";
import { fieldsIn, render } from "@/schema/templates";
import { baseCompile } from "@intlify/message-compiler";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

type Tree = { [key: string]: string | Tree };
function flat(tree: Tree, prefix = ""): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]) => (typeof value === "string" ? [[prefix + key, value] as [string, string]] : flat(value, `${prefix}${key}.`)));
}

describe("messages", () => {
  const english = new Map(flat(en as unknown as Tree));
  const german = new Map(flat(de as unknown as Tree));
  it("are the same in all languages, with the same places", () => {
    const places = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort().join();
    expect([...german.keys()]).toEqual([...english.keys()]);
    for (const [key, text] of english) expect(`${key} ${places(german.get(key)!)}`).toBe(`${key} ${places(text)}`);
  });
  it("can all be compiled", () => {
    for (const [key, text] of [...english, ...german]) {
      expect(() => baseCompile(text, { onError: (error) => { throw new Error(`${key}: ${error.message}`); } })).not.toThrow();
    }
  });
  it("exist for every key that the sources name", () => {
    const missing = new Set<string>();
    for (const file of readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => /\.(vue|ts)$/.test(name))) {
      const source = readFileSync(join("src", file), "utf8");
      for (const [, key] of source.matchAll(/(?<![\w.])\$?t\(\s*"([a-zA-Z]+\.[\w.]+)"/g)) if (!english.has(key!)) missing.add(`${file}: ${key}`);
    }
    expect([...missing]).toEqual([]);
  });
});

describe("query strings", () => {
  it("join lists and write trees as JSON", () => {
    expect(serialise({ fields: ["a", "b.c"], filter: { a: { _eq: "x&y" } }, limit: 0, search: "", sort: [] })).toBe(
      `fields=${encodeURIComponent("a,b.c")}&filter=${encodeURIComponent('{"a":{"_eq":"x&y"}}')}&limit=0`,
    );
  });
});

describe("templates", () => {
  it("name their fields and are filled in", () => {
    expect(fieldsIn("{{ title }} by {{author.name}} {{ title }} {{ $thumbnail }}")).toEqual(["title", "author.name"]);
    expect(render("{{ title }} – {{ author.name }}", { title: "Emma", author: { name: "Austen" } })).toBe("Emma – Austen");
    expect(render("{{ tags.name }}", { tags: [{ name: "a" }, { name: "b" }] })).toBe("a, b");
    expect(render("{{ item:text.heading }}", { item: { heading: "x" } })).toBe("x");
    expect(render("{{ missing }}", {})).toBe("");
  });
});

describe("names and values", () => {
  it("become slugs and column names", () => {
    expect(slugify("  Über den Straßen, 2!")).toBe("uber-den-strassen-2");
    expect(columnName("Größe (cm)")).toBe("grosse_cm");
  });
  it("survive date inputs", () => {
    expect(fromInput(toInput("2024-02-29T10:20:30.000Z", "timestamp"), "timestamp")).toBe("2024-02-29T10:20:30.000Z");
    expect(fromInput("2024-02-29T10:20", "dateTime")).toBe("2024-02-29T10:20:00");
    expect(fromInput("", "date")).toBeNull();
    expect(toInput("nonsense", "timestamp")).toBe("");
  });
  it("are compared field by field", () => {
    expect(differences({ a: 1, b: [1] }, { a: 2, b: [1], c: null })).toEqual([{ field: "a", before: 1, after: 2 }]);
  });
});

describe("the palette", () => {
  it("prefers starts, then words, then parts, then letters in order", () => {
    const scores = ["Books", "Old books", "Notebooks", "Big old oaks", "Users"].map((text) => fit("book", text));
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(scores.at(-1)).toBe(0);
  });
});

describe("days", () => {
  it("are all there, also those without activity", () => {
    const days = lastDays([{ timestamp_year: "2026", timestamp_month: "3", timestamp_day: "1", action: "create", count: "5" }], 3, new Date("2026-03-02T12:00:00Z"));
    expect(days.map((day) => [day.date.getUTCDate(), day.create, day.total])).toEqual([[28, 0, 0], [1, 5, 5], [2, 0, 0]]);
  });
});

describe("plans of the data model", () => {
  const draft = { collection: "books", field: "tags", type: "alias", special: ["m2m"], interface: "list-m2m" };
  it("make a junction before the relations that need it", () => {
    const steps = planManyToMany(draft, "tags", { here: "integer", there: "uuid" }, { junction: "books_tags", here: "books_id", there: "tags_id", sort: "sort" });
    expect(steps.map((step) => step.path)).toEqual(["collections", "relations", "relations", "fields/books"]);
    expect(steps[1]?.body).toMatchObject({ collection: "books_tags", field: "books_id", related_collection: "books", meta: { one_field: "tags", junction_field: "tags_id", sort_field: "sort" } });
  });
  it("add the reverse field only when it is wanted", () => {
    const plan = (reverse: string) => planToOne({ ...draft, field: "author", special: ["m2o"] }, "authors", "uuid", { reverse, onDelete: "CASCADE" });
    expect(plan("").map((step) => step.path)).toEqual(["fields/books", "relations"]);
    expect(plan("books").at(-1)?.path).toBe("fields/authors");
    expect(plan("")[0]?.body).toMatchObject({ type: "uuid" });
  });
});
