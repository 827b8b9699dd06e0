import { createGraphiQLFetcher, formatResult } from "@graphiql/toolkit";
import { following } from "./following.js";
import { fillPlaceholders, NothingRemembered, rememberSend } from "./placeholders.js";

const ENDPOINT = "/graphql";

/** Over HTTP, and for subscriptions over a socket whose connection_init payload is the Headers editor. */
export function createFetcher(config) {
  const send = createGraphiQLFetcher({
    url: ENDPOINT,
    subscriptionUrl: location.origin.replace(/^http/, "ws") + ENDPOINT,
    enableIncrementalDelivery: false,
  });
  return async (request, options) => {
    // GraphiQL asks for the schema before its Headers editor exists.
    if (request.operationName === "IntrospectionQuery") return send(request, withDefaultHeaders(options, config));
    return sendFilled(send, request, options);
  };
}

const withDefaultHeaders = (options, config) => ({ ...options, headers: { ...config.headers, ...options?.headers } });

async function sendFilled(send, request, options) {
  try {
    const variables = fillPlaceholders(request.variables, sessionStorage);
    const result = await send({ ...request, variables }, options);
    rememberSend(result, request, options?.documentAST, sessionStorage);
    return following(result, request, options, send);
  } catch (error) {
    if (error instanceof NothingRemembered) return { errors: [{ message: error.message }] };
    throw error;
  }
}
