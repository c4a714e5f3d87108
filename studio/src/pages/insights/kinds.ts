/**
 * The kinds of panels: what they look like in the list of kinds, how large they start, and which options their form
 * offers. Options have the names that stored dashboards use; what a form does not know stays as it is.
 */
import { ChartBar, ChartLine, ChartPie, Gauge, Hash, List, ListOrdered, Type } from "lucide-vue-next";
import { defineAsyncComponent, type Component } from "vue";
import { AGGREGATES, FUNCTIONS, isComplete, PRECISIONS, text } from "./questions";
import type { Options } from "./types";

export interface OptionField {
  name: string;
  kind: "collection" | "field" | "number" | "text" | "long" | "choice" | "switch" | "filter" | "color";
  /** Of fields: which of the collection's fit. */
  fits?: "any" | "number" | "date";
  choices?: readonly string[];
  /** Choices that are said in the user's language, below this key. */
  texts?: string;
  half?: boolean;
  required?: boolean;
  placeholder?: string;
  initial?: unknown;
}
export interface Kind {
  icon: Component;
  view: Component;
  width: number;
  height: number;
  fields: OptionField[];
  /** Without these options there is nothing to ask. */
  ready: (options: Options) => boolean;
}

const collection: OptionField = { name: "collection", kind: "collection", required: true };
const filter: OptionField = { name: "filter", kind: "filter" };
const color: OptionField = { name: "color", kind: "color", half: true };
const fn = (choices: readonly string[]): OptionField => ({ name: "function", kind: "choice", choices, texts: "insights.function", half: true, initial: "count" });
const order: OptionField = { name: "sortDirection", kind: "choice", choices: ["desc", "asc"], texts: "insights.direction", half: true, initial: "desc" };
const prefix: OptionField = { name: "prefix", kind: "text", half: true };
const suffix: OptionField = { name: "suffix", kind: "text", half: true };
const decimals: OptionField = { name: "maximumFractionDigits", kind: "number", half: true };
const switched = (name: string, initial: boolean): OptionField => ({ name, kind: "switch", half: true, initial });
const lazy = (load: () => Promise<{ default: Component }>) => defineAsyncComponent(load);

export const KINDS: Record<string, Kind> = {
  "metric": {
    icon: Hash, view: lazy(() => import("./panels/MetricPanel.vue")), width: 12, height: 6, ready: (o) => isComplete(o, "field"),
    fields: [collection, fn(FUNCTIONS), { name: "field", kind: "field", fits: "any", half: true }, { name: "sortField", kind: "field", fits: "any", half: true }, { name: "notation", kind: "choice", choices: ["standard", "compact"], texts: "insights.notation", half: true }, decimals, prefix, suffix, filter],
  },
  "time-series": {
    icon: ChartLine, view: lazy(() => import("./panels/SeriesPanel.vue")), width: 24, height: 12, ready: (o) => isComplete(o, "valueField") && text(o, "dateField") !== "",
    fields: [collection, { name: "dateField", kind: "field", fits: "date", required: true, half: true }, { name: "precision", kind: "choice", choices: PRECISIONS, texts: "insights.precision", half: true, initial: "day" }, fn(AGGREGATES), { name: "valueField", kind: "field", fits: "any", half: true }, { name: "range", kind: "text", half: true, placeholder: "30 days" }, color, { name: "min", kind: "number", half: true }, { name: "max", kind: "number", half: true }, switched("showXAxis", true), switched("showYAxis", true), filter],
  },
  "bar-chart": {
    icon: ChartBar, view: lazy(() => import("./panels/BarsPanel.vue")), width: 18, height: 12, ready: (o) => isComplete(o, "yAxis") && text(o, "xAxis") !== "",
    fields: [collection, { name: "xAxis", kind: "field", fits: "any", required: true, half: true }, fn(AGGREGATES), { name: "yAxis", kind: "field", fits: "any", half: true }, order, { name: "limit", kind: "number", half: true, placeholder: "12" }, color, filter],
  },
  "pie-chart": {
    icon: ChartPie, view: lazy(() => import("./panels/PiePanel.vue")), width: 16, height: 12, ready: (o) => isComplete(o, "valueField") && text(o, "column") !== "",
    fields: [collection, { name: "column", kind: "field", fits: "any", required: true, half: true }, fn(AGGREGATES), { name: "valueField", kind: "field", fits: "number", half: true }, switched("donut", true), switched("showLegend", true), filter],
  },
  "meter": {
    icon: Gauge, view: lazy(() => import("./panels/MeterPanel.vue")), width: 12, height: 10, ready: (o) => isComplete(o, "field"),
    fields: [collection, fn(AGGREGATES), { name: "field", kind: "field", fits: "any", half: true }, { name: "max", kind: "number", half: true, required: true, initial: 100 }, color, prefix, suffix, filter],
  },
  "metric-list": {
    icon: ListOrdered, view: lazy(() => import("./panels/RankPanel.vue")), width: 14, height: 12, ready: (o) => text(o, "collection") !== "" && text(o, "groupByField") !== "" && (text(o, "aggregateFunction") === "count" || text(o, "aggregateFunction") === "" || text(o, "aggregateField") !== ""),
    fields: [collection, { name: "groupByField", kind: "field", fits: "any", required: true, half: true }, { ...fn(AGGREGATES), name: "aggregateFunction" }, { name: "aggregateField", kind: "field", fits: "any", half: true }, order, { name: "limit", kind: "number", half: true, placeholder: "5" }, prefix, suffix, color, filter],
  },
  "list": {
    icon: List, view: lazy(() => import("./panels/ListPanel.vue")), width: 16, height: 12, ready: (o) => text(o, "collection") !== "",
    fields: [collection, { name: "displayTemplate", kind: "text", placeholder: "{{ title }}" }, { name: "sortField", kind: "field", fits: "any", half: true }, order, { name: "limit", kind: "number", half: true, placeholder: "5" }, switched("linkToItem", true), filter],
  },
  "label": {
    icon: Type, view: lazy(() => import("./panels/LabelPanel.vue")), width: 16, height: 4, ready: (o) => text(o, "text") !== "",
    fields: [{ name: "text", kind: "long", required: true }, color],
  },
};

export const isOurs = (type: string): boolean => type in KINDS;

/** The options of a new panel. */
export function startingOptions(kind: Kind): Options {
  return Object.fromEntries(kind.fields.filter((field) => field.initial !== undefined).map((field) => [field.name, field.initial]));
}

/** Another collection has other fields, and a filter over the old one would be refused. */
export function withCollection(kind: Kind, options: Options, name: string): Options {
  const next: Options = { ...options, collection: name };
  for (const field of kind.fields) if (field.kind === "field" || field.kind === "filter") next[field.name] = null;
  return next;
}
