/** Uploads in progress: two at a time, each with its own bar and its own failure. */
import { upload } from "@/api/client";
import { problemText } from "@/ui/problems";
import { ref } from "vue";

export interface Upload { id: number; name: string; share: number; state: "waiting" | "running" | "done" | "failed"; problem?: string }

export function useUploads(done: () => void) {
  const list = ref<Upload[]>([]);
  const queue: { entry: Upload; file: File; folder: string | null }[] = [];
  let running = 0;
  let next = 1;

  function add(files: File[], folder: string | null): void {
    for (const file of files) {
      list.value.push({ id: next++, name: file.name, share: 0, state: "waiting" });
      queue.push({ entry: list.value.at(-1)!, file, folder });
    }
    start();
  }
  function start(): void {
    while (running < 2 && queue.length) void send(queue.shift()!);
  }
  async function send({ entry, file, folder }: (typeof queue)[number]): Promise<void> {
    running += 1;
    entry.state = "running";
    const form = new FormData();
    // Text fields have to stand before the file that they belong to.
    if (folder) form.append("folder", folder);
    form.append("file", file);
    try {
      await upload("files", form, (share) => (entry.share = share)).done;
      entry.state = "done";
    } catch (error) {
      entry.state = "failed";
      entry.problem = problemText(error);
    }
    running -= 1;
    done();
    start();
  }
  function clear(): void {
    list.value = list.value.filter((entry) => entry.state === "waiting" || entry.state === "running");
  }
  return { list, add, clear };
}
