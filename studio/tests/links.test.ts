import { safeAddress } from "@/forms/links";
import { expect, it } from "vitest";

it.each(["https://example.com/a?b=1", "/admin/files", "files/1", "mailto:a@example.com", "tel:+49123"])("%s is a link", (address) => {
  expect(safeAddress(` ${address} `)).toBe(address);
});
it.each(["", "javascript:alert(1)", " JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "data:text/html,<b>", "vbscript:x", "http://["])("%s is none", (address) => {
  expect(safeAddress(address)).toBeUndefined();
});
