import { createClient } from "graphql-sse";
import { codeOf, first } from "./graphql-ws.mjs";

export function open(origin, key) {
  const client = createClient({ url: `${origin}/graphql`, headers: { Authorization: `Bearer ${key}` }, retryAttempts: 0 });
  const stream = (query, variables, take) =>
    new Promise((resolve, reject) => {
      const next = ({ data, errors }) => (errors ? reject(errors) : take(data));
      client.subscribe({ query, variables }, { next, error: reject, complete: resolve });
    });
  return { stream, once: (query, variables) => first(stream, query, variables), codes: (error) => error.map(codeOf) };
}
