/**
 * From a field to its input: by the interface's id, else by relation, else by type. Unknown ids are no error, since
 * databases may come from installations with extensions.
 */
import type { Field } from "@/api/types";
import type { RelationInfo } from "@/schema/relations";
import { defineAsyncComponent, type Component } from "vue";
import BooleanInput from "./BooleanInput.vue";
import DateInput from "./DateInput.vue";
import SelectInput from "./SelectInput.vue";
import MultiSelectInput from "./MultiSelectInput.vue";
import StringInput from "./StringInput.vue";
import TagsInput from "./TagsInput.vue";
import TextareaInput from "./TextareaInput.vue";
import ColorInput from "./ColorInput.vue";
import HashInput from "./HashInput.vue";

const CodeInput = defineAsyncComponent(() => import("./CodeInput.vue"));
const MarkdownInput = defineAsyncComponent(() => import("./MarkdownInput.vue"));
const RichTextInput = defineAsyncComponent(() => import("./RichTextInput.vue"));
const RepeaterInput = defineAsyncComponent(() => import("./RepeaterInput.vue"));
const FileInput = defineAsyncComponent(() => import("./FileInput.vue"));
const IconInput = defineAsyncComponent(() => import("./IconInput.vue"));
const FilterInput = defineAsyncComponent(() => import("./FilterInput.vue"));
const SystemSelectInput = defineAsyncComponent(() => import("./SystemSelectInput.vue"));
const SliderInput = defineAsyncComponent(() => import("./SliderInput.vue"));
const ToOneInput = defineAsyncComponent(() => import("@/relations/ToOneInput.vue"));
const ToManyInput = defineAsyncComponent(() => import("@/relations/ToManyInput.vue"));
const TranslationsInput = defineAsyncComponent(() => import("@/relations/TranslationsInput.vue"));

const byInterface: Record<string, Component> = {
  "input": StringInput,
  "input-autocomplete-api": StringInput,
  "input-hash": HashInput,
  "system-token": HashInput,
  "input-multiline": TextareaInput,
  "input-block-editor": CodeInput,
  "input-code": CodeInput,
  "input-rich-text-md": MarkdownInput,
  "input-rich-text-html": RichTextInput,
  "boolean": BooleanInput,
  "toggle": BooleanInput,
  "datetime": DateInput,
  "select-dropdown": SelectInput,
  "select-radio": SelectInput,
  "select-multiple-dropdown": MultiSelectInput,
  "select-multiple-checkbox": MultiSelectInput,
  "select-multiple-checkbox-tree": MultiSelectInput,
  "select-color": ColorInput,
  "select-icon": IconInput,
  "slider": SliderInput,
  "tags": TagsInput,
  "list": RepeaterInput,
  "file": FileInput,
  "file-image": FileInput,
  "select-dropdown-m2o": ToOneInput,
  "collection-item-dropdown": ToOneInput,
  "collection-item-multiple-dropdown": CodeInput,
  "system-folder": ToOneInput,
  "list-o2m": ToManyInput,
  "list-o2m-tree-view": ToManyInput,
  "list-m2m": ToManyInput,
  "list-m2a": ToManyInput,
  "files": ToManyInput,
  "translations": TranslationsInput,
  "system-filter": FilterInput,
  "system-collection": SystemSelectInput,
  "system-field": SystemSelectInput,
  "system-language": SystemSelectInput,
  "map": CodeInput,
};

/** Interfaces that only fit some types: on any other type the type decides. */
const needs: Record<string, (field: Field, relation: RelationInfo | null) => boolean> = {
  "select-dropdown-m2o": (_, relation) => relation?.kind === "m2o",
  "system-folder": (_, relation) => relation?.kind === "m2o",
  "file": (_, relation) => relation?.kind === "m2o",
  "file-image": (_, relation) => relation?.kind === "m2o",
  "boolean": (field) => field.type === "boolean",
  "datetime": (field) => ["date", "dateTime", "time", "timestamp"].includes(field.type),
  "tags": (field) => ["json", "csv"].includes(field.type),
  "select-multiple-dropdown": (field) => ["json", "csv"].includes(field.type),
  "list": (field) => field.type === "json",
};

export function inputFor(field: Field, relation: RelationInfo | null): Component {
  const id = field.meta?.interface ?? "";
  const named = byInterface[id];
  if (named && (needs[id]?.(field, relation) ?? true) && !(isToMany(relation) && !isListInput(id))) return named;
  if (relation?.kind === "m2o") return relation.related === "directus_files" ? FileInput : ToOneInput;
  if (relation?.kind === "m2m" && relation.variant === "translations") return TranslationsInput;
  if (isToMany(relation)) return ToManyInput;
  return byType(field);
}

function isToMany(relation: RelationInfo | null): boolean {
  return relation !== null && ["o2m", "m2m", "m2a"].includes(relation.kind);
}
function isListInput(id: string): boolean {
  return id.startsWith("list-") || id === "files" || id === "translations";
}

function byType(field: Field): Component {
  switch (field.type) {
    case "boolean":
      return BooleanInput;
    case "date":
    case "dateTime":
    case "time":
    case "timestamp":
      return DateInput;
    case "text":
      return TextareaInput;
    case "csv":
      return TagsInput;
    case "hash":
      return HashInput;
    case "json":
      return CodeInput;
    default:
      return field.type.startsWith("geometry") ? CodeInput : StringInput;
  }
}

/** Fields that take the whole width whatever their metadata says. */
export function isWide(field: Field, relation: RelationInfo | null): boolean {
  return isToMany(relation) || ["input-rich-text-html", "input-rich-text-md", "input-code", "list"].includes(field.meta?.interface ?? "");
}
