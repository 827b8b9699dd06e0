// Apollo Client by the manifest of its own tool, with nothing but HttpLink: the subscription is multipart.
import { readFileSync } from "node:fs";
import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client/core/index.js";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries/index.js";
import { generatePersistedQueryIdsFromManifest } from "@apollo/persisted-query-lists";
import { parse, separateOperations } from "graphql";

export function open({ url, headers, fetch, manifest }) {
  return apollo(new HttpLink({ uri: url, headers, fetch }), new HttpLink({ uri: url, headers, fetch }), manifest);
}

export function apollo(http, streaming, manifest) {
  const example = readFileSync(new URL("../../../../examples/typescript/src/operations.graphql", import.meta.url), "utf8");
  const { Send, Watch } = separateOperations(parse(example));
  const loadManifest = async () => JSON.parse(readFileSync(manifest, "utf8"));
  const byId = () => new PersistedQueryLink(generatePersistedQueryIdsFromManifest({ loadManifest }));
  const link = byId().split(({ operationType }) => operationType === "subscription", streaming, http);
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  return {
    send: async (input) => (await client.mutate({ mutation: Send, variables: { input } })).data,
    watch: (variables, take) =>
      new Promise((resolve, reject) =>
        client.subscribe({ query: Watch, variables, fetchPolicy: "no-cache" }).subscribe({
          next: ({ data, error }) => (error ? reject(error) : take(data)), error: reject, complete: resolve,
        })),
  };
}
