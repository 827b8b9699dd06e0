import graphql from "@graphql-eslint/eslint-plugin";

const { parser, configs } = graphql;

export default [
  {
    files: ["*.graphql"],
    languageOptions: { parser, parserOptions: { graphQLConfig: { schema: "schema.graphql" } } },
    plugins: { "@graphql-eslint": graphql },
    rules: {
      ...configs["flat/schema-recommended"].rules,
      ...configs["flat/schema-relay"].rules,
      // Whatever can be fetched again is a Node, which has an id; results, refusals, events and values cannot.
      "@graphql-eslint/strict-id-in-types": "off",
      // Short lists that have an end of their own (quotas, tags, models) are lists.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
      // A connection is paged forward, backward, or both, as Relay's specification has it.
      "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],
    },
  },
];
