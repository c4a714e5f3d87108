import type { Field, Relation, RelationMeta } from "@/api/types";
import { addCreate, changesOf, compact, mergeUpdate, moved, setCreate, toggleDelete } from "@/relations/changes";
import { relationOf } from "@/schema/relations";
import { describe, expect, it } from "vitest";

const field = (collection: string, name: string, special: string[] = []): Field => ({ collection, field: name, type: "alias", schema: null, meta: { special } });
const relation = (collection: string, name: string, related: string | null, meta: Partial<RelationMeta> = {}): Relation => ({
  collection, field: name, related_collection: related, schema: null,
  meta: {
    many_collection: collection, many_field: name, one_collection: related, one_field: null, one_collection_field: null, one_allowed_collections: null,
    junction_field: null, sort_field: null, ...meta,
  },
});

describe("relationOf", () => {
  const all = [
    relation("books", "author", "authors", { one_field: "books" }),
    relation("books_tags", "books_id", "books", { one_field: "tags", junction_field: "tags_id", sort_field: "sort" }),
    relation("books_tags", "tags_id", "tags", { junction_field: "books_id" }),
    relation("books_blocks", "books_id", "books", { one_field: "blocks", junction_field: "item" }),
    relation("books_blocks", "item", null, { one_collection_field: "collection", one_allowed_collections: ["text", "image"] }),
  ];
  it("tells the kinds apart", () => {
    expect(relationOf(field("books", "author"), all)).toMatchObject({ kind: "m2o", related: "authors" });
    expect(relationOf(field("authors", "books"), all)).toMatchObject({ kind: "o2m", related: "books", foreign: "author" });
    expect(relationOf(field("books", "tags"), all)).toMatchObject({ kind: "m2m", variant: "m2m", junction: "books_tags", item: "tags_id", related: "tags", sortField: "sort" });
    expect(relationOf(field("books", "blocks"), all)).toMatchObject({ kind: "m2a", allowed: ["text", "image"], collectionField: "collection" });
    expect(relationOf(field("books_blocks", "item"), all)).toMatchObject({ kind: "a2o", collectionField: "collection" });
    expect(relationOf(field("books", "title"), all)).toBeNull();
  });
  it("knows files and translations by their special flags", () => {
    expect(relationOf(field("books", "tags", ["files"]), all)).toMatchObject({ variant: "files" });
    expect(relationOf(field("books", "tags", ["translations"]), all)).toMatchObject({ variant: "translations" });
  });
});

describe("changes of a to-many relation", () => {
  it("are empty for lists of keys and for nothing", () => {
    expect(compact(changesOf([1, 2]))).toBeUndefined();
    expect(compact(changesOf(null))).toBeUndefined();
  });
  it("collect and take back", () => {
    let changes = addCreate(changesOf(undefined), { name: "a" }, { name: "b" });
    changes = mergeUpdate(changes, "id", 3, { name: "c" });
    changes = mergeUpdate(changes, "id", 3, { sort: 1 });
    changes = toggleDelete(changes, 4);
    expect(changes).toEqual({ create: [{ name: "a" }, { name: "b" }], update: [{ id: 3, name: "c", sort: 1 }], delete: [4] });
    expect(compact(toggleDelete({ create: [], update: [], delete: [4] }, 4))).toBeUndefined();
    expect(setCreate(changes, 0, null).create).toEqual([{ name: "b" }]);
    expect(moved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
  });
});
