// A client of a server that takes only trusted documents: node trusted.mjs CLIENT ORIGIN KEY MANIFEST QUESTION
// It sends and streams by id, as its library does; then it asks for what is not in the manifest, over HTTP and a socket.
import { createClient } from "graphql-ws";
import { codeOf, first } from "./clients/graphql-ws.mjs";

const [name, origin, key, manifest, question] = process.argv.slice(2);
const { open } = await import(`./trusted/${name}.mjs`);
const url = `${origin}/graphql`, headers = { Authorization: `Bearer ${key}` };

// How many documents were spelled out, and not named.
let texts = 0;
const count = (message) => { if (message.query || message.payload?.query) texts += 1; };
const watchedFetch = (where, options) => { if (options.body) count(JSON.parse(options.body)); return fetch(where, options); };
class WatchedSocket extends WebSocket {
  send(message) { count(JSON.parse(message)); super.send(message); }
}
const socket = createClient({
  url: url.replace("http", "ws"), connectionParams: headers, webSocketImpl: WatchedSocket, retryAttempts: 0, lazyCloseTimeout: 1000,
});

const client = await open({ url, headers, fetch: watchedFetch, socket, manifest });
const sent = (await client.send({ text: question, idempotencyKey: `${name} ${process.pid}` })).sendMessage;
const events = [];
await client.watch({ generation: sent.generation.id, after: 0 }, ({ generationEvents }) => events.push(generationEvents));
const spelledOut = texts;

const asked = async (body) => {
  const response = await fetch(url, { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return (await response.json()).errors.map(codeOf);
};
const stream = (payload, _, take) =>
  new Promise((resolve, reject) => socket.subscribe(payload, { next: take, error: reject, complete: resolve }));
const askedBySocket = (payload) => first(stream, payload).then(() => [], (errors) => errors.map(codeOf));

const unknown = "0".repeat(64), refused = {};
for (const [what, payload] of Object.entries({
  documentId: { query: "", documentId: unknown },
  hash: { query: "", extensions: { persistedQuery: { version: 1, sha256Hash: unknown } } },
  text: { query: "{ models { key } }" },
})) refused[what] = [await asked(payload), await askedBySocket(payload)];

console.log(JSON.stringify({ text: events.at(-1).reply.text, status: events.at(-1).status, seqs: events.map(({ seq }) => seq), spelledOut, refused }));
process.exit(0);
