/** Short messages in the corner, and questions that need a yes. Shown by ui/Messages.vue, asked for from anywhere. */
import { problemText } from "@/ui/problems";
import { reactive } from "vue";

export interface Toast { id: number; kind: "good" | "bad"; text: string }
export interface Question {
  title: string;
  text?: string;
  action: string;
  danger?: boolean;
  /** The user must type this to go on. */
  typed?: string;
  answer: (yes: boolean) => void;
}

export const messages = reactive({ toasts: [] as Toast[], question: null as Question | null });
const MOST = 3;
let next = 1;

export function dismiss(id: number): void {
  messages.toasts = messages.toasts.filter((toast) => toast.id !== id);
}

export function say(text: string, kind: Toast["kind"] = "good"): void {
  const id = next++;
  // What is said again is said once, and old news makes room: the page below has to stay usable.
  const others = messages.toasts.filter((toast) => toast.text !== text);
  messages.toasts = [...others.slice(1 - MOST), { id, kind, text }];
  setTimeout(() => dismiss(id), kind === "bad" ? 9000 : 4000);
}

export function sayProblem(error: unknown): void {
  say(problemText(error), "bad");
}

export function confirm(question: Omit<Question, "answer">): Promise<boolean> {
  return new Promise((resolve) => {
    messages.question = {
      ...question,
      answer: (yes) => {
        messages.question = null;
        resolve(yes);
      },
    };
  });
}
