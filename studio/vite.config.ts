/// <reference types="vitest/config" />
import vue from "@vitejs/plugin-vue";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const server = process.env.TABULARY_URL ?? "http://127.0.0.1:8055";
const api =
  "^/(access|activity|assets|auth|collections|comments|dashboards|fields|files|folders|items|notifications|panels|permissions|policies|presets|relations|revisions|roles|schema|server|sessions|settings|shares|translations|users|utils|versions)(/|\\?|$)";

// Assets are addressed relative to the page's <base>, which the server sets: one build works below any path.
export default defineConfig(({ command }) => ({
  base: command === "serve" ? "/admin/" : "./",
  plugins: [vue()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  define: {
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
    __INTLIFY_DROP_MESSAGE_COMPILER__: false,
  },
  build: {
    outDir: fileURLToPath(new URL("../src/tabulary/studio/dist", import.meta.url)),
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // What every page needs, in three files rather than a hundred.
            { name: "vue", test: /node_modules[\\/](@?vue|vue-router|@intlify|@tanstack)/ },
            { name: "icons", test: /node_modules[\\/]lucide/ },
            { name: "reka", test: /node_modules[\\/](reka-ui|@floating-ui|@internationalized|@vueuse|aria-hidden)/ },
            { name: "studio", test: /[\\/]src[\\/](api|session|schema|ui|layout|displays|filters)[\\/]/ },
            // The two editors are large; in parts they stay below the budget and load side by side.
            { name: "prosemirror-view", test: /node_modules[\\/]prosemirror-(view|model)/ },
            { name: "prosemirror", test: /node_modules[\\/](prosemirror-|orderedmap|rope-sequence|w3c-keyname|linkifyjs)/ },
            { name: "tiptap", test: /node_modules[\\/]@tiptap/ },
            { name: "codemirror-view", test: /node_modules[\\/]@codemirror[\\/]view/ },
            { name: "codemirror", test: /node_modules[\\/](@codemirror[\\/](state|commands|language)|@lezer[\\/](common|highlight|lr))/ },
          ],
        },
      },
    },
  },
  server: { proxy: { [api]: { target: server, changeOrigin: false }, "^/websocket": { target: server, ws: true } } },
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts"], testTimeout: 60_000 },
}));
