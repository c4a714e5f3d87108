/**
 * JSON without loss: numbers that a script cannot hold exactly (integers beyond 2^53, fractions with more digits than a
 * double has) are read as their text. Where they stood inside of a JSON value is remembered, so that they are written
 * back as the numbers they were. Nothing else differs from JSON.parse and JSON.stringify.
 */
import { toRaw } from "vue";

/** What a member was in the text, by the object or array that holds it. */
const sources = new WeakMap<object, Map<string, string>>();
/** Stands before a number's text while it is on its way. Unguessable, so that no stored text is taken for one. */
const MARK = `exact-${crypto.getRandomValues(new Uint32Array(4)).join("-")}:`;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARKED = new RegExp(`"${MARK}([^"]*)"`, "g");
/** No shorter run of digits can lose any, but for exponents out of range. */
const SUSPICIOUS = /[\d.]{16}|\d[eE][+-]?\d{3}/;

export function parseExact(text: string): unknown {
  if (!SUSPICIOUS.test(text)) return JSON.parse(text);
  let found = false;
  const marked = text.replace(TOKEN, (token) => {
    if (token.startsWith('"') || isExact(token)) return token;
    found = true;
    return `"${MARK}${token}"`;
  });
  if (!found) return JSON.parse(text);
  return JSON.parse(marked, function (this: object, key: string, value: unknown) {
    if (typeof value !== "string" || !value.startsWith(MARK)) return value;
    const source = value.slice(MARK.length);
    const members = sources.get(this) ?? new Map<string, string>();
    sources.set(this, members.set(key, source));
    return source;
  });
}

export function stringifyExact(value: unknown, indent?: number): string {
  let found = false;
  const text = JSON.stringify(value, function (this: object, key: string, member: unknown) {
    if (typeof member !== "string" || sources.get(toRaw(this))?.get(key) !== member) return member;
    found = true;
    return MARK + member;
  }, indent);
  return found ? text.replace(MARKED, "$1") : text;
}

/** True when a script holds this number without a change to its value. */
export function isExact(token: string): boolean {
  const value = Number(token);
  if (!Number.isFinite(value)) return false;
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return false;
  return digits(token) === digits(String(value));
}

/** The digits that count: neither sign nor point nor the zeros around. */
function digits(number: string): string {
  return number.toLowerCase().split("e")[0]!.replace(/[-.]/g, "").replace(/^0+|0+$/g, "");
}
