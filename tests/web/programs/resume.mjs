// A client sends, streams, is cut off in the middle, and resumes: node resume.mjs CLIENT ORIGIN KEY QUESTION
import { cuttable } from "./cutting.mjs";

const [name, origin, key, question] = process.argv.slice(2);
const { open } = await import(`./clients/${name}.mjs`);

const VIEWER = "query { viewer { user { id } } }";
const SEND = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) { __typename ... on SendMessageSuccess { generation { id } } ... on Refusal { code } }
}`;
const WATCH = `subscription Watch($generation: ID!, $after: Int!) {
  generationEvents(generation: $generation, after: $after) {
    __typename seq ... on TextDelta { text offset } ... on GenerationFinished { status reply { text } }
  }
}`;

const line = await cuttable(origin);
const client = open(line.origin, key);
await client.once(VIEWER, {});
const input = { text: question, idempotencyKey: `${name} ${process.pid}` };
const sent = (await client.once(SEND, { input })).sendMessage;
const generation = sent.generation.id, events = [];
let text = "", cuts = 0;

function take({ generationEvents: event }) {
  events.push(event);
  if (event.__typename === "TextDelta") text = text.slice(0, event.offset) + event.text;
  if (events.length === 5) line.cut();
}

while (events.at(-1)?.__typename !== "GenerationFinished") {
  try {
    await client.stream(WATCH, { generation, after: events.at(-1)?.seq ?? 0 }, take);
  } catch {
    cuts += 1;
    if (cuts > 3) throw new Error("it does not come to an end");
  }
}
const codes = await client.once("query { nothing }", {}).then(() => [], (error) => client.codes(error));
const { status, reply } = events.at(-1);
console.log(JSON.stringify({ sent: sent.__typename, seqs: events.map(({ seq }) => seq), cuts, text, status, reply: reply.text, codes }));
process.exit(0);
