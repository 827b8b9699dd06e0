// urql sends the hash that graphql-codegen's client preset wrote into each document, for all three kinds of operation.
import { dirname, join } from "node:path";
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { urql } from "../clients/urql.mjs";

export async function open({ url, headers, fetch, socket, manifest }) {
  const { SendDocument, WatchDocument } = await import(join(dirname(manifest), "graphql.js"));
  const generateHash = async (_, document) => document.__meta__.hash;
  const byHash = { enforcePersistedQueries: true, enableForMutation: true, enableForSubscriptions: true, generateHash };
  const forwardSubscription = ({ extensions, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query: "", extensions, variables }, sink) }),
  });
  const client = new Client({
    url, fetch, fetchOptions: { headers }, preferGetMethod: false,
    exchanges: [persistedExchange(byHash), fetchExchange, subscriptionExchange({ forwardSubscription })],
  });
  return {
    async send(input) {
      const { data, error } = await client.mutation(SendDocument, { input }).toPromise();
      if (error) throw error;
      return data;
    },
    watch: (variables, take) => urql(client).stream(WatchDocument, variables, take),
  };
}
