import { ApiError } from "@/api/client";
import { QueryClient } from "@tanstack/vue-query";

/** The cache of what was read. A refusal is an answer, so only lost connections are tried again. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      retry: (count, error) => count < 2 && error instanceof ApiError && (error.status === 0 || error.status === 503),
    },
  },
});
