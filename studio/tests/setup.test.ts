import { policyKind, tokenIn } from "@/pages/entry/setup";
import { describe, expect, it } from "vitest";

describe("the setup link", () => {
  const token = "a_b-".repeat(10) + "xyz";
  it("is taken as a whole, with more parameters, or as the bare token", () => {
    expect(tokenIn(`https://example.com/cms/admin/setup?token=${token}`)).toBe(token);
    expect(tokenIn(`  /admin/setup?a=1&token=${token}#x \n`)).toBe(token);
    expect(tokenIn(token)).toBe(token);
  });
  it("is nothing without a token", () => {
    for (const text of ["", "https://example.com/admin/setup", "https://example.com/admin/setup?token=", "abc", "two words of some length here"]) {
      expect(tokenIn(text)).toBe("");
    }
  });
});

describe("the rule for passwords", () => {
  it("is told in words where it is one of the known ones", () => {
    expect(policyKind(null)).toBe("free");
    expect(policyKind("/^.{8,}$/")).toBe("weak");
    expect(policyKind("/(?=^.{8,}$)(?=.*\\d)(?=.*[!@#$%^&*()_+}{';'?>.<,])(?!.*\\s)(?=.*[A-Z])(?=.*[a-z]).*$/")).toBe("strong");
    expect(policyKind("/^[a-z]+$/i")).toBe("regex");
  });
});
