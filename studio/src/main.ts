/** Start: appearance, language, who is logged in, then the page. */
import "@/design/base.css";
import { ApiError } from "@/api/client";
import { startAppearance } from "@/design/appearance";
import { i18n, languageFor, preferredLanguages, setDirection, setLanguage } from "@/i18n";
import { router } from "@/router";
import { queryClient } from "@/query";
import { VueQueryPlugin } from "@tanstack/vue-query";
import { createApp } from "vue";
import App from "./App.vue";

startAppearance();
await setLanguage(languageFor(preferredLanguages()));
setDirection(null);

createApp(App).use(i18n).use(router).use(VueQueryPlugin, { queryClient }).mount("#app");

// After an upgrade of the server the old chunks are gone: a page that cannot be loaded is loaded anew, once.
window.addEventListener("vite:preloadError", () => {
  if (sessionStorage.getItem("tabulary.reloaded")) return;
  sessionStorage.setItem("tabulary.reloaded", "1");
  location.reload();
});
window.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof ApiError) event.preventDefault();
});
