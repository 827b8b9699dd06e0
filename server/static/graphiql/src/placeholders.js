// "@last.reply" and its like in the variables: nobody has to copy an id from one tab to the next.
//   @last.X      an id of the last successful send
//   @previous.X  the same of the send before it in that conversation
//   @first.X     the same of the first send this browser tab made in that conversation
//   @uuid        a fresh UUID
import { getOperationAST } from "graphql";

const PLACEHOLDER = /^@(last|previous|first)\.(conversation|userMessage|reply|generation)$/;

export class NothingRemembered extends Error {}

export function fillPlaceholders(value, storage) {
  if (typeof value === "string") return fillOne(value, storage);
  if (Array.isArray(value)) return value.map((item) => fillPlaceholders(item, storage));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillPlaceholders(item, storage)]));
}

function fillOne(text, storage) {
  if (text === "@uuid") return freshUuid();
  const match = PLACEHOLDER.exec(text);
  if (!match) return text;
  const [, which, name] = match;
  const ids = recall(which, storage);
  if (!ids && which === "previous" && recall("last", storage)) {
    throw new NothingRemembered(`Run tab 5 first: "${text}" is of the send before the last in its conversation.`);
  }
  if (!ids) throw new NothingRemembered(`Run tab 1 first: "${text}" stands for an id that only a send can give.`);
  if (!ids[name]) throw new NothingRemembered(`Run tab 1 first, with ${name} { id } selected: "${text}" stands for it.`);
  return ids[name];
}

// crypto.randomUUID exists only on https and localhost; the page may be opened by an address in a private network.
function freshUuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** What of a result has started a run, if anything has. */
export const startedIn = (result) => Object.values(result?.data ?? {}).find((success) => success?.generation?.id);

export function rememberSend(result, request, documentAST, storage) {
  if (!documentAST || getOperationAST(documentAST, request.operationName)?.operation !== "mutation") return;
  const success = startedIn(result);
  if (!success) return;
  const ids = {
    conversation: success.conversation?.id,
    userMessage: success.userMessage?.id,
    reply: success.reply?.id,
    generation: success.generation.id,
  };
  const before = recall("last", storage);
  if (before?.generation === ids.generation) return;
  remember("previous", before?.conversation === ids.conversation ? before : null, storage);
  remember("last", ids, storage);
  if (recall("first", storage)?.conversation !== ids.conversation) remember("first", ids, storage);
}

const recall = (which, storage) => JSON.parse(storage.getItem(`gus:${which}Send`));
const remember = (which, ids, storage) => storage.setItem(`gus:${which}Send`, JSON.stringify(ids));
