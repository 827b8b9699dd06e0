// Rebuilds into a temporary folder and compares it with the committed build; exits 1 on a difference.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { buildInto } from "./build.js";

const COMMITTED = fileURLToPath(new URL("../build", import.meta.url));

// Unpacked bytes: what two versions of zlib make of the same bytes may differ.
function contents(folder) {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  return new Map(names.map((name) => [name.slice(folder.length + 1), unpacked(name)]));
}

function unpacked(file) {
  const bytes = readFileSync(file);
  return file.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

function differences(committed, fresh) {
  const names = [...new Set([...committed.keys(), ...fresh.keys()])].sort();
  return names.filter((name) => !committed.has(name) || !fresh.has(name) || !committed.get(name).equals(fresh.get(name)));
}

const folder = mkdtempSync(join(tmpdir(), "gus-graphiql-"));
try {
  await buildInto(folder);
  const different = differences(contents(COMMITTED), contents(folder));
  for (const name of different) console.error(`differs from a fresh build: ${name}`);
  if (different.length > 0) console.error("Run `npm run build` in server/static/graphiql and commit build/.");
  else console.log("The committed GraphiQL build is what its sources build.");
  process.exitCode = different.length > 0 ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
