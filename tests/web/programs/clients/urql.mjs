// Queries and mutations over HTTP, subscriptions by graphql-ws: as urql's documentation sets it up.
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import { codeOf } from "./graphql-ws.mjs";

export function open(origin, key) {
  const url = `${origin}/graphql`, headers = { Authorization: `Bearer ${key}` };
  const socket = createClient({ url: url.replace("http", "ws"), connectionParams: headers, retryAttempts: 0 });
  const forwardSubscription = (request) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? "" }, sink) }),
  });
  return urql(new Client({
    url, fetchOptions: { headers }, preferGetMethod: false,
    exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })],
  }));
}

export function urql(client) {
  const settled = ({ data, error }) => { if (error) throw error; return data; };
  return {
    async once(source, variables) {
      const asked = source.trimStart().startsWith("mutation") ? client.mutation(source, variables) : client.query(source, variables);
      return settled(await asked.toPromise());
    },
    stream(source, variables, take) {
      let last;
      return new Promise((resolve, reject) =>
        client.subscription(source, variables).subscribe(({ data, error, hasNext }) => {
          if (error) return reject(error);
          // At the end urql says the last result again.
          if (data !== last) take((last = data));
          if (!hasNext) resolve();
        }));
    },
    codes: (error) => error.graphQLErrors.map(codeOf),
  };
}
