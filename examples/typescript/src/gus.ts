/** A client of gus. Types come from the schema and from operations.graphql: `npm run build` makes them. */
import { Client, CombinedError, fetchExchange, type OperationResult } from "@urql/core";
import { print } from "graphql";
import { createClient } from "graphql-ws";
import { PagerDocument, RegenerateDocument, SendDocument, ShowDocument, StopDocument, WatchDocument } from "./generated.js";
import type { RefusedFragment, RegenerateReplyInput, SendMessageInput, WatchSubscription } from "./generated.js";

type Event = WatchSubscription["generationEvents"];
/** What to show after an event: all that is needed to go on after a cut, or a reload. */
export type Shown = { text: string; seq: number; event: Event };

/** The server said no, in a way that its schema knows: `code` is for your translations. */
export class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(`${refusal.code}: ${refusal.message}`);
  }
}
type Refusal = Pick<RefusedFragment, "code" | "message" | "retryable" | "retryAfter">;

const LONGEST_WAIT_MS = 5_000;
// The server will say the same again: the message, the credential or the protocol is wrong.
const HOPELESS = [4400, 4401, 4403, 4406, 4409];

export class Gus {
  readonly #http;
  readonly #socket;

  constructor(url: string, key: string) {
    const headers = { Authorization: `Bearer ${key}` };
    this.#http = new Client({ url, fetchOptions: { headers }, preferGetMethod: false, exchanges: [fetchExchange] });
    // We reconnect ourselves: only we know which event was the last that we have shown.
    this.#socket = createClient({ url: url.replace(/^http/, "ws"), connectionParams: headers, retryAttempts: 0 });
  }

  /** One idempotency key for one gesture of the user: repeated after a cut it sends nothing twice. */
  async send(input: SendMessageInput) {
    return granted((await patiently(() => this.#http.mutation(SendDocument, { input }))).sendMessage);
  }

  async regenerate(input: RegenerateReplyInput) {
    return granted((await patiently(() => this.#http.mutation(RegenerateDocument, { input }))).regenerateReply);
  }

  /** From the beginning, or from what was shown last; to the end, over as many connections as it takes. */
  async *follow(generation: string, from = { text: "", seq: 0 }): AsyncGenerator<Shown> {
    let { text, seq } = from;
    for (let wait = 250; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      try {
        for await (const event of this.#events(generation, seq)) {
          text = applied(text, event);
          seq = event.seq;
          wait = 250;
          yield { text, seq, event };
          if (event.__typename === "GenerationFinished") return;
        }
      } catch (error) {
        if (!isCut(error)) throw error;
      }
      await pause(wait);
    }
  }

  /** The reply ends where the user saw it end, whatever was written meanwhile. */
  async stop(generation: string, seenSeq: number) {
    return granted((await patiently(() => this.#http.mutation(StopDocument, { generation, seenSeq }))).stopGeneration);
  }

  /** For "2 of 3", and the arrows beside it. */
  async pager(message: string) {
    return (await patiently(() => this.#http.query(PagerDocument, { message }))).message;
  }

  /** Shows the branch that the message is on, on every device. */
  async show(message: string) {
    return granted((await patiently(() => this.#http.mutation(ShowDocument, { message }))).selectBranch).conversation;
  }

  async close() {
    await this.#socket.dispose();
  }

  async *#events(generation: string, after: number): AsyncGenerator<Event> {
    const request = { query: print(WatchDocument), variables: { generation, after } };
    for await (const { data, errors } of this.#socket.iterate<WatchSubscription>(request)) {
      if (!data) throw errors;
      yield data.generationEvents;
    }
  }
}

/** Asks again after a cut: every mutation of gus may be repeated. */
async function patiently<Data>(ask: () => PromiseLike<OperationResult<Data>>): Promise<Data> {
  for (let wait = 250; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    const { data, error } = await ask();
    if (data) return data;
    if (!error || !isCut(error)) throw error;
    await pause(wait);
  }
}

function applied(text: string, event: Event): string {
  switch (event.__typename) {
    case "TextDelta":
      return text.slice(0, event.offset) + event.text;
    case "TextTruncated":
      return text.slice(0, event.length);
    case "GenerationSnapshot":
    case "GenerationFinished":
      return event.reply.text;
    default:
      return text;
  }
}

function granted<Answer extends object>(answer: Answer): Exclude<Answer, Refusal> {
  if ("retryable" in answer) throw new Refused(answer as unknown as Refusal);
  return answer as Exclude<Answer, Refusal>;
}

/** The server's own errors come as a list; anything else that an operation ends with is a lost connection. */
function isCut(error: unknown): boolean {
  if (error instanceof CombinedError) return error.networkError !== undefined;
  return !Array.isArray(error) && !HOPELESS.includes((error as { code?: number }).code ?? 0);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
