/** Answers that the page asked for before the application was there (public/early.js). Each is taken once. */

declare global {
  interface Window {
    tabularyEarly?: Record<string, Promise<Response>>;
  }
}

/** Milliseconds from the start of the page after which an answer is too old to be taken. */
const FRESH = 15_000;

export function takeEarly(address: string): Promise<Response> | undefined {
  const answer = window.tabularyEarly?.[address];
  if (!answer) return undefined;
  delete window.tabularyEarly![address];
  return performance.now() < FRESH ? answer : undefined;
}

/** Somebody logs in or out: what was asked for before is somebody else's. */
export function forgetEarly(): void {
  window.tabularyEarly = {};
}
