// Builds the page and stores every asset gzipped: node scripts/build.js [folder]
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

export async function buildInto(folder) {
  await build({ root: ROOT, logLevel: "error", build: { outDir: folder, emptyOutDir: true } });
  const assets = join(folder, "assets");
  for (const name of readdirSync(assets)) replaceByGzip(join(assets, name));
}

function replaceByGzip(file) {
  writeFileSync(`${file}.gz`, gzip(readFileSync(file)));
  rmSync(file);
}

// As `gzip -9 -n` does it: neither time nor name, and the same "operating system" everywhere.
function gzip(bytes) {
  const packed = gzipSync(bytes, { level: 9 });
  packed[9] = 3;
  return packed;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildInto(process.argv[2] ?? join(ROOT, "build"));
}
