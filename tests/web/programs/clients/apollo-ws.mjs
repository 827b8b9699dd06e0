import { GraphQLWsLink } from "@apollo/client/link/subscriptions/index.js";
import { createClient } from "graphql-ws";
import { apollo } from "./apollo.mjs";

export function open(origin, key) {
  const url = `${origin.replace("http", "ws")}/graphql`;
  const options = { url, connectionParams: { Authorization: `Bearer ${key}` }, retryAttempts: 0 };
  return apollo(new GraphQLWsLink(createClient(options)));
}
