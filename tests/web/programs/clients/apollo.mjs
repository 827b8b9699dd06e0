// Nothing but HttpLink: subscriptions come as multipart.
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client/core/index.js";
import { codeOf } from "./graphql-ws.mjs";

export function open(origin, key) {
  const link = new HttpLink({ uri: `${origin}/graphql`, headers: { Authorization: `Bearer ${key}` } });
  return apollo(link);
}

export function apollo(link) {
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  return {
    async once(source, variables) {
      const document = gql(source);
      const isMutation = document.definitions[0].operation === "mutation";
      const given = { variables, fetchPolicy: "no-cache" };
      const asked = isMutation ? client.mutate({ mutation: document, ...given }) : client.query({ query: document, ...given });
      return (await asked).data;
    },
    stream(source, variables, take) {
      return new Promise((resolve, reject) =>
        client.subscribe({ query: gql(source), variables, fetchPolicy: "no-cache" }).subscribe({
          next: ({ data, error }) => (error ? reject(error) : take(data)),
          error: reject,
          complete: resolve,
        }));
    },
    codes: (error) => error.errors.map(codeOf),
  };
}
