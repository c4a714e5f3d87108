/** What went wrong, in the user's words: by the code that the API sends, else by its own message. */
import { ApiError, type ApiProblem } from "@/api/client";
import { i18n } from "@/i18n";

export function problemText(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  return [...new Set(error.problems.map(oneProblem))].join(" ");
}

export function oneProblem(problem: ApiProblem): string {
  const { t, te } = i18n.global;
  const { code, type, ...more } = problem.extensions;
  const specific = `problem.${code}.${type ?? ""}`;
  if (type && te(specific)) return t(specific, { ...more, valid: listed(more.valid), invalid: listed(more.invalid) });
  const general = `problem.${code}`;
  if (te(general) && typeof i18n.global.tm(general) === "string") return t(general, { ...more });
  return problem.message || t("problem.UNKNOWN");
}

function listed(value: unknown): string {
  return Array.isArray(value) ? value.join(", ") : String(value ?? "");
}

const FIELD_CODES = new Set([
  "FAILED_VALIDATION", "RECORD_NOT_UNIQUE", "NOT_NULL_VIOLATION", "CONTAINS_NULL_VALUES", "INVALID_FOREIGN_KEY", "VALUE_TOO_LONG",
  "VALUE_OUT_OF_RANGE", "UNREADABLE",
]);

/** The problems that name a field, by that field (nested ones by the relation field they came through). */
export function fieldProblems(error: unknown): Record<string, string> {
  const found: Record<string, string> = {};
  if (!(error instanceof ApiError)) return found;
  for (const problem of error.problems) {
    const { code, field, path } = problem.extensions;
    if (!field || !FIELD_CODES.has(code)) continue;
    const [first] = path ?? [];
    if (typeof first === "string") found[first] ??= `${field}: ${oneProblem(problem)}`;
    else found[field] ??= oneProblem(problem);
  }
  return found;
}
