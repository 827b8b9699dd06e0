// What has changed since the last release, by graphql-inspector: node diff.mjs RELEASED NOW CHANGELOG
// Exits 1 when something breaks clients and no line "- Breaking: ..." of the changelog's unreleased part names it.
import { readFileSync } from "node:fs";
import { diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const [released, now, changelog] = process.argv.slice(2).map((file) => readFileSync(file, "utf8"));
const unreleased = changelog.split(/^## /m).find((part) => part.startsWith("Unreleased")) ?? "";
const named = unreleased.split(/^- /m).filter((entry) => entry.startsWith("Breaking:")).join("");

const changes = await diff(buildSchema(released), buildSchema(now));
const of = (level) => changes.filter(({ criticality }) => criticality.level === level);
const isNamed = ({ path }) => named.includes(`\`${path}\``);

for (const { message } of of("DANGEROUS")) console.log(`dangerous: ${message}`);
for (const { message } of of("BREAKING").filter(isNamed)) console.log(`breaking, as the changelog says: ${message}`);
console.log(`and ${of("NON_BREAKING").length} changes that no client feels`);
const unnamed = of("BREAKING").filter((change) => !isNamed(change));
for (const { message, path } of unnamed) {
  console.error(`BREAKING: ${message}. If it has to be, say so in CHANGELOG.md under Unreleased: "- Breaking: \`${path}\` ..."`);
}
process.exitCode = unnamed.length > 0 ? 1 : 0;
