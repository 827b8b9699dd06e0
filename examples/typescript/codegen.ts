import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../../schema/schema.graphql", // or the URL of a gus, with /schema.graphql
  documents: "src/operations.graphql",
  generates: {
    "src/generated.ts": {
      plugins: ["typescript-operations", "typed-document-node"],
      config: { useTypeImports: true, scalars: { ID: "string", DateTime: "string", Decimal: "string", JSON: "unknown", Long: "number" } },
    },
  },
};
export default config;
