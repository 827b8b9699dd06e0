// Apollo Client asks by hash: node persisted.mjs ORIGIN KEY; says what was sent of each request, and the last answer.
import { createHash } from "node:crypto";
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client/core/index.js";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries/index.js";

const [origin, key] = process.argv.slice(2);
const sent = [];
const watched = (url, options) => {
  const { query, extensions } = JSON.parse(options.body);
  sent.push({ text: Boolean(query), hash: Boolean(extensions?.persistedQuery) });
  return fetch(url, options);
};
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const http = new HttpLink({ uri: `${origin}/graphql`, headers: { Authorization: `Bearer ${key}` }, fetch: watched });
const client = new ApolloClient({ link: new PersistedQueryLink({ sha256 }).concat(http), cache: new InMemoryCache() });
const query = gql`query ByHash { models { key retired } }`;
await client.query({ query, fetchPolicy: "no-cache" });
const { data } = await client.query({ query, fetchPolicy: "no-cache" });
console.log(JSON.stringify({ sent, models: data.models.length }));
