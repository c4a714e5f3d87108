/** From what is written in an input for numbers to what is sent. */
import { isExact } from "@/api/json";
import { Unreadable } from "@/api/unreadable";

const FORMS: Record<string, RegExp> = {
  integer: /^[+-]?\d+$/,
  bigInteger: /^[+-]?\d+$/,
  float: /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/,
  decimal: /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/,
};

export function isNumberType(type: string): boolean {
  return type in FORMS;
}

/**
 * Integers and floats become numbers as long as a script holds them exactly; the types that the API gives as text
 * (bigInteger, decimal) and all larger ones stay the text that was written. A float never has more than a double holds.
 */
export function readNumber(written: string, type: string): number | string | null | Unreadable {
  const text = written.trim();
  if (!text) return null;
  if (!FORMS[type]!.test(text)) return new Unreadable("number", written);
  if (type === "float") return Number.isFinite(Number(text)) ? Number(text) : new Unreadable("number", written);
  return type === "integer" && isExact(text) ? Number(text) : text.replace(/^\+/, "");
}
