import { describe, expect, it } from "vitest";
import { arranged, changedPlaces, columnsOf, COLUMNS, fitted, freePlace, overlap, placeOf, SMALLEST, stepped } from "@/pages/insights/grid";
import { isOurs, KINDS, startingOptions, withCollection } from "@/pages/insights/kinds";
import { arc, labelled, roundStep, scaleOf, share } from "@/pages/insights/plots/scale";
import { aggregated, groupAnswer, groupQuestion, isComplete, rangeOf, seriesQuestion, singleAnswer, singleQuestion } from "@/pages/insights/questions";
import { pointsOf, startOf } from "@/pages/insights/series";
import type { Panel } from "@/pages/insights/types";

const at = (id: string, x: number, y: number, width = 10, height = 5) => ({ id, x, y, width, height });

describe("the grid of a dashboard", () => {
  it("moves what is covered down, and what that covers, and nothing else", () => {
    const places = [at("a", 1, 1), at("b", 1, 6), at("c", 1, 11), at("d", 30, 1)];
    const after = arranged(places, at("a", 1, 3));
    expect(after.map((place) => [place.id, place.y])).toEqual([["a", 3], ["b", 8], ["c", 13], ["d", 1]]);
    for (const one of after) for (const other of after) if (one.id !== other.id) expect(overlap(one, other)).toBe(false);
  });
  it("leaves stored overlaps alone that the change has nothing to do with", () => {
    const places = [at("a", 1, 1), at("b", 20, 1), at("c", 22, 2)];
    expect(arranged(places, at("a", 1, 2)).slice(1)).toEqual(places.slice(1));
  });
  it("keeps panels inside, whole and large enough", () => {
    expect(fitted({ id: "a", x: -3.2, y: 0, width: 2, height: 1 }, COLUMNS)).toEqual({ id: "a", x: 1, y: 1, ...SMALLEST });
    expect(fitted(at("a", 47, 2, 12, 6), COLUMNS).x).toBe(COLUMNS - 11);
    expect(fitted(at("a", 1.4, 2.6, 12.4, 6.5), COLUMNS)).toEqual(at("a", 1, 3, 12, 7));
  });
  it("is as wide as the widest stored dashboard needs", () => {
    expect(columnsOf([])).toBe(COLUMNS);
    expect(columnsOf([at("a", 50, 1, 20)])).toBe(69);
  });
  it("finds the first free place for a new panel", () => {
    expect(freePlace([], { width: 12, height: 6 })).toEqual({ x: 1, y: 1, width: 12, height: 6 });
    expect(freePlace([at("a", 1, 1, 40, 6)], { width: 12, height: 6 })).toEqual({ x: 1, y: 7, width: 12, height: 6 });
    expect(freePlace([at("a", 1, 1, 24, 6)], { width: 12, height: 6 })).toEqual({ x: 25, y: 1, width: 12, height: 6 });
  });
  it("steps by keyboard, and stores what has changed only", () => {
    expect(stepped(at("a", 5, 5), "right", false)).toEqual(at("a", 6, 5));
    expect(stepped(at("a", 5, 5), "down", true)).toEqual(at("a", 5, 5, 10, 6));
    expect(changedPlaces([at("a", 1, 1), at("b", 9, 9)], [at("a", 2, 1), at("b", 9, 9)])).toEqual([{ id: "a", position_x: 2, position_y: 1, width: 10, height: 5 }]);
  });
  it("takes panels from anywhere as they are stored", () => {
    const panel = { id: "p", position_x: 0, position_y: -2, width: 0, height: 3 } as Panel;
    expect(placeOf(panel)).toEqual({ id: "p", x: 1, y: 1, width: 1, height: 3 });
  });
});

describe("what panels ask", () => {
  it("counts without a field, and everything else by one", () => {
    expect(singleQuestion({ collection: "orders" })).toEqual({ aggregate: { count: ["*"] }, filter: null });
    expect(isComplete({ collection: "orders" }, "field")).toBe(true);
    expect(isComplete({ collection: "orders", function: "sum" }, "field")).toBe(false);
    expect(isComplete({ function: "count" }, "field")).toBe(false);
  });
  it("reads numbers that come as text", () => {
    expect(singleAnswer({ function: "sum", field: "amount" }, [{ sum: { amount: "12.50" } }])).toBe("12.50");
    expect(aggregated({ count: "8" }, "count")).toBe("8");
    expect(groupAnswer({ xAxis: "state" }, "xAxis", [{ state: "new", count: "8" }, { state: null, count: 2 }])).toEqual([{ label: "new", value: 8 }, { label: null, value: 2 }]);
  });
  it("takes the first or last value by the order it is told", () => {
    expect(singleQuestion({ function: "last", field: "price", sortField: "placed" })).toMatchObject({ sort: ["-placed"], limit: 1, fields: ["price"] });
    expect(singleAnswer({ function: "first", field: "price" }, [{ price: 3 }])).toBe(3);
  });
  it("groups by parts of the date within the time span", () => {
    const query = seriesQuestion({ collection: "orders", dateField: "placed", precision: "month", range: "6 months", filter: { state: { _eq: "paid" } } });
    expect(query.groupBy).toEqual(["year(placed)", "month(placed)"]);
    expect(query.filter).toEqual({ _and: [{ state: { _eq: "paid" } }, { placed: { _gte: "$NOW(-6 months)" } }] });
    expect(rangeOf({ range: "auto" })).toBe(null);
    expect(rangeOf({ range: "1 day); drop" })).toBe(null);
  });
  it("sorts groups by their number", () => {
    expect(groupQuestion({ function: "sum", xAxis: "country", yAxis: "amount" }, "xAxis", "yAxis", 5).sort).toEqual(["-sum.amount"]);
    expect(groupQuestion({ xAxis: "country", sortDirection: "asc" }, "xAxis", "yAxis", 5).sort).toEqual(["count"]);
  });
});

describe("values over time", () => {
  const rows = [{ d_year: "2026", d_month: "1", d_day: "30", count: "2" }, { d_year: 2026, d_month: 2, d_day: 2, count: 5 }];
  it("fill the gaps: zero for counts, nothing for averages", () => {
    expect(pointsOf(rows, "d", "day", "count").map((point) => point.value)).toEqual([2, 0, 0, 5]);
    const averages = rows.map(({ count, ...row }) => ({ ...row, avg: { price: count } }));
    expect(pointsOf(averages, "d", "day", "avg").map((point) => point.value)).toEqual([2, null, null, 5]);
  });
  it("put weeks together from their days, also over the end of the year", () => {
    const days = [{ d_year: 2025, d_month: 12, d_day: 31, count: 1 }, { d_year: 2026, d_month: 1, d_day: 1, count: 2 }, { d_year: 2026, d_month: 1, d_day: 5, count: 4 }];
    const points = pointsOf(days, "d", "week", "count");
    expect(points.map((point) => [point.at.toISOString().slice(0, 10), point.value])).toEqual([["2025-12-29", 3], ["2026-01-05", 4]]);
  });
  it("take ISO weeks where the server groups by them, and leave out rows without a date", () => {
    expect(startOf({ d_year: 2026, d_week: 1 }, "d", "week")?.toISOString().slice(0, 10)).toBe("2025-12-29");
    expect(startOf({ d_year: null, d_month: null, count: 3 }, "d", "month")).toBe(null);
    expect(pointsOf([], "d", "day", "count")).toEqual([]);
  });
});

describe("plots", () => {
  it("have round axes that hold all values and zero", () => {
    expect(scaleOf([3, 17])).toEqual({ low: 0, high: 20, ticks: [0, 5, 10, 15, 20] });
    expect(scaleOf([-4, 9]).low).toBeLessThanOrEqual(-4);
    expect(scaleOf([0.1, 0.32]).ticks).toEqual([0, 0.1, 0.2, 0.3, 0.4]);
    expect(scaleOf([]).high).toBeGreaterThan(0);
    expect(scaleOf([5], 4, { min: 2, max: 8 })).toMatchObject({ low: 2, high: 8 });
  });
  it("step by 1, 2 or 5", () => {
    expect([0.7, 1.3, 3.1, 7, 42].map(roundStep)).toEqual([1, 2, 5, 10, 50]);
  });
  it("place values between the ends", () => {
    expect(share({ low: 0, high: 10, ticks: [] }, 2.5)).toBe(0.25);
    expect(share({ low: 0, high: 10, ticks: [] }, 99)).toBe(1);
  });
  it("draw a whole turn too, and leave labels out for which there is no room", () => {
    expect(arc(0, 1, 10, 0)).toContain("A 10 10 0 1 1");
    expect([0, 1, 2, 3, 4, 5].filter(labelled(6, 3))).toEqual([0, 2, 4]);
  });
});

describe("kinds of panels", () => {
  it("start with options that only lack what must be chosen", () => {
    expect(startingOptions(KINDS["pie-chart"]!)).toEqual({ function: "count", donut: true, showLegend: true });
    expect(KINDS.metric!.ready({ ...startingOptions(KINDS.metric!), collection: "orders" })).toBe(true);
    expect(KINDS["time-series"]!.ready({ collection: "orders" })).toBe(false);
  });
  it("drop fields of the former collection, and keep options of others", () => {
    expect(withCollection(KINDS.metric!, { collection: "a", field: "x", filter: { x: 1 }, ofAnExtension: 1 }, "b")).toMatchObject({ collection: "b", field: null, filter: null, ofAnExtension: 1 });
  });
  it("know which are not ours", () => {
    expect(isOurs("relational-variable")).toBe(false);
    expect(isOurs("metric")).toBe(true);
  });
});
