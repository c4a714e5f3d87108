/** Sending a form: busy meanwhile, and what is wrong is told above the form. */
import { problemText } from "@/ui/problems";
import { ref, type Ref } from "vue";

interface Submission {
  busy: Ref<boolean>;
  /** What went wrong the last time; empty otherwise. */
  problem: Ref<string>;
  submit: () => Promise<void>;
}

export function useSubmission(work: () => Promise<unknown>): Submission {
  const busy = ref(false);
  const problem = ref("");
  async function submit(): Promise<void> {
    busy.value = true;
    problem.value = "";
    try {
      await work();
    } catch (error) {
      problem.value = problemText(error);
    } finally {
      busy.value = false;
    }
  }
  return { busy, problem, submit };
}
