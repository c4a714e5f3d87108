// After vite build: compressed twins beside every text file, and a check of the budgets that the design promises.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = fileURLToPath(new URL("../../src/tabulary/studio/dist", import.meta.url));
const INITIAL_LIMIT = 200_000;
const CHUNK_LIMIT = 80_000;

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else yield path;
  }
}

const sizes = new Map();
for (const path of files(dist)) {
  if (!/\.(js|css|html|svg|json)$/.test(path) || statSync(path).size < 400) continue;
  const text = readFileSync(path);
  const zipped = gzipSync(text, { level: 9 });
  sizes.set(path.slice(dist.length + 1).replaceAll("\\", "/"), zipped.length);
  // The page itself is changed by the server (its base path), so only the assets have twins.
  if (path.endsWith("index.html")) continue;
  writeFileSync(`${path}.gz`, zipped);
  writeFileSync(`${path}.br`, brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
}

const page = readFileSync(join(dist, "index.html"), "utf8");
const initial = [...page.matchAll(/(?:src|href)="\.?\/?(assets\/[^"]+\.js)"/g)].map((match) => match[1]);
const initialSize = initial.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
const chunks = [...sizes].filter(([name]) => name.endsWith(".js") && !initial.includes(name)).sort((a, b) => b[1] - a[1]);
console.log(`initial JavaScript ${(initialSize / 1000).toFixed(1)} kB gzip; largest chunks:`);
for (const [name, size] of chunks.slice(0, 6)) console.log(`  ${(size / 1000).toFixed(1)} kB  ${name}`);

const tooLarge = chunks.filter(([, size]) => size > CHUNK_LIMIT);
if (initialSize > INITIAL_LIMIT || tooLarge.length) {
  console.error("Over budget: initial JavaScript 200 kB, every other chunk 80 kB. Load something later, or drop it.");
  process.exit(1);
}
