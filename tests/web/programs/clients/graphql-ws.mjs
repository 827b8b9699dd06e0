import { createClient } from "graphql-ws";

export function open(origin, key) {
  const url = `${origin.replace("http", "ws")}/graphql`;
  const client = createClient({ url, connectionParams: { Authorization: `Bearer ${key}` }, retryAttempts: 0 });
  const stream = (query, variables, take) =>
    new Promise((resolve, reject) =>
      client.subscribe({ query, variables }, { next: ({ data }) => take(data), error: reject, complete: resolve }));
  return { stream, once: (query, variables) => first(stream, query, variables), codes: (error) => error.map(codeOf) };
}

export async function first(stream, query, variables) {
  let found;
  await stream(query, variables, (data) => (found = data));
  return found;
}

export const codeOf = (error) => error.extensions.code;
