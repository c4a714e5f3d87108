/** What a new field can be: the types of the platform with the input that suits them. */
import {
  Blocks, Braces, CalendarDays, ChevronsUpDown, CircleDot, Clock, Code, FileText, Fingerprint, FolderTree, Hash, Heading, Image, Images, Info, KeyRound, Languages,
  Link, List, ListChecks, Lock, Palette, Paperclip, Rows3, SlidersHorizontal, Smile, SquareStack, Tags, Text, ToggleLeft, Type, Waypoints,
} from "lucide-vue-next";
import type { Component } from "vue";

export type Shape = "column" | "m2o" | "o2m" | "m2m" | "m2a" | "translations" | "presentation";
export interface FieldKind {
  name: string;
  icon: Component;
  shape: Shape;
  interface: string;
  special?: string[];
  types: string[];
  options?: Record<string, unknown>;
  choices?: boolean;
}

const column = (name: string, icon: Component, id: string, types: string[], more: Partial<FieldKind> = {}): FieldKind => ({ name, icon, shape: "column", interface: id, types, ...more });
const other = (name: string, icon: Component, shape: Shape, id: string, special: string[], more: Partial<FieldKind> = {}): FieldKind => ({ name, icon, shape, interface: id, special, types: ["alias"], ...more });

export const kindGroups: { name: string; kinds: FieldKind[] }[] = [
  {
    name: "text",
    kinds: [
      column("input", Type, "input", ["string", "text", "uuid"]), column("textarea", Text, "input-multiline", ["text", "string"]), column("richText", FileText, "input-rich-text-html", ["text"]),
      column("markdown", Heading, "input-rich-text-md", ["text"]), column("slug", Link, "input", ["string"], { options: { slug: true } }), column("code", Code, "input-code", ["text", "string"]),
      column("tags", Tags, "tags", ["json", "csv"]), column("hash", Lock, "input-hash", ["hash"], { special: ["hash", "conceal"] }), column("uuid", Fingerprint, "input", ["uuid"], { special: ["uuid"] }),
    ],
  },
  {
    name: "number",
    kinds: [
      column("integer", Hash, "input", ["integer", "bigInteger"]), column("decimal", Hash, "input", ["decimal", "float"]), column("slider", SlidersHorizontal, "slider", ["integer", "float"]),
      column("boolean", ToggleLeft, "boolean", ["boolean"], { special: ["cast-boolean"] }),
    ],
  },
  { name: "time", kinds: [column("date", CalendarDays, "datetime", ["date"]), column("dateTime", CalendarDays, "datetime", ["timestamp", "dateTime"]), column("time", Clock, "datetime", ["time"])] },
  {
    name: "choice",
    kinds: [
      column("select", ChevronsUpDown, "select-dropdown", ["string", "integer"], { choices: true }), column("radio", CircleDot, "select-radio", ["string", "integer"], { choices: true }),
      column("multiSelect", ListChecks, "select-multiple-dropdown", ["json", "csv"], { choices: true }), column("color", Palette, "select-color", ["string"]), column("icon", Smile, "select-icon", ["string"]),
      column("json", Braces, "input-code", ["json"], { options: { language: "json" } }), column("map", Waypoints, "map", ["geometry"]),
    ],
  },
  {
    name: "relation",
    kinds: [
      other("m2o", Link, "m2o", "select-dropdown-m2o", ["m2o"]), other("o2m", List, "o2m", "list-o2m", ["o2m"]), other("m2m", Rows3, "m2m", "list-m2m", ["m2m"]), other("m2a", Blocks, "m2a", "list-m2a", ["m2a"]),
      other("file", Paperclip, "m2o", "file", ["file"], { options: {} }), other("image", Image, "m2o", "file-image", ["file"]), other("files", Images, "m2m", "files", ["files"]),
      other("translations", Languages, "translations", "translations", ["translations"]), other("user", KeyRound, "m2o", "select-dropdown-m2o", ["m2o"]),
    ],
  },
  {
    name: "layout",
    kinds: [
      other("divider", SquareStack, "presentation", "presentation-divider", ["alias", "no-data"]), other("notice", Info, "presentation", "presentation-notice", ["alias", "no-data"]),
      other("fieldGroup", FolderTree, "presentation", "group-detail", ["alias", "no-data", "group"]),
    ],
  },
];

const SPECIAL_BY_TYPE: Record<string, string[]> = { boolean: ["cast-boolean"], json: ["cast-json"], csv: ["cast-csv"], hash: ["hash"], uuid: ["uuid"] };

/** The special flags that a column needs so that every database stores it alike; the server adds none but JSON's. */
export function specialFor(kind: FieldKind, type: string): string[] {
  return [...new Set([...(kind.special ?? []), ...(SPECIAL_BY_TYPE[type] ?? [])])].filter((flag) => !(flag === "uuid" && kind.name !== "uuid"));
}
