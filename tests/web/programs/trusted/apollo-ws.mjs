// GraphQLWsLink spells the document out beside its hash, whatever the link before it says: the text is a trusted one.
import { HttpLink } from "@apollo/client/core/index.js";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions/index.js";
import { apollo } from "./apollo.mjs";

export function open({ url, headers, fetch, socket, manifest }) {
  return apollo(new HttpLink({ uri: url, headers, fetch }), new GraphQLWsLink(socket), manifest);
}
