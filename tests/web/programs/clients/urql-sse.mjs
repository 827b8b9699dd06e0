// Everything by fetch: urql reads a subscription as server-sent events.
import { Client, fetchExchange } from "@urql/core";
import { urql } from "./urql.mjs";

export function open(origin, key) {
  return urql(new Client({
    url: `${origin}/graphql`, fetchOptions: { headers: { Authorization: `Bearer ${key}` } },
    preferGetMethod: false, fetchSubscriptions: true, exchanges: [fetchExchange],
  }));
}
