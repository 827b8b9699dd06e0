// A comment line "# @follow" in a mutation: when it has started a run, the page goes on with the subscription of tab 2
// and shows its events as they come, above the mutation's own answer.
import { parse } from "graphql";
import stream from "./tabs/2-stream.graphql?raw";
import { startedIn } from "./placeholders.js";

const WISH = /^\s*#\s*@follow\b/m;

export async function following(result, request, options, send) {
  const started = WISH.test(request.query) ? startedIn(result) : undefined;
  if (!started) return result;
  const asked = { query: stream, operationName: "Stream", variables: { generation: started.generation.id } };
  const events = (await send(asked, { ...options, documentAST: parse(stream) }))[Symbol.asyncIterator]();
  return besideEach(result, events);
}

// Not an async generator: its return() would wait for the next event.
function besideEach(result, events) {
  let isFirst = true;
  return {
    async next() {
      if (isFirst) {
        isFirst = false;
        return { done: false, value: result };
      }
      const { done, value } = await events.next();
      return done ? { done, value } : { done, value: { "@follow": value, ...result } };
    },
    return: () => events.return(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
