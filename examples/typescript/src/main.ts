/** Run it: `npm start -- http://localhost:8000/graphql gus_your_key "What is a tree?"`. */
import { randomUUID } from "node:crypto";
import { Gus, Refused, type Shown } from "./gus.js";

const [url = "http://localhost:8000/graphql", key = "", question = "What is a tree?"] = process.argv.slice(2);
const gus = new Gus(url, key);

async function watched(generation: string, enough: (shown: Shown) => boolean = () => false): Promise<Shown> {
  let shown: Shown | undefined;
  for await (shown of gus.follow(generation)) {
    process.stdout.write(`\r${shown.text.replaceAll("\n", " ").slice(-100)}`);
    if (enough(shown)) break;
  }
  if (!shown) throw new Error("Nothing was said.");
  process.stdout.write("\n");
  return shown;
}

try {
  const first = await gus.send({ text: question, idempotencyKey: randomUUID() });
  const whole = await watched(first.generation.id);
  console.log(`The whole answer: ${JSON.stringify(whole.text)}`);

  const second = await gus.regenerate({ reply: first.reply.id, idempotencyKey: randomUUID() });
  const seen = await watched(second.generation.id, ({ text }) => text.length > 20);
  await gus.stop(second.generation.id, seen.seq);
  const ended = await watched(second.generation.id);
  console.log(`Stopped where it was seen to be: ${JSON.stringify(seen.text)} ${ended.text === seen.text}`);

  const pager = await gus.pager(second.reply.id);
  if (!pager?.previousSibling) throw new Error("There is no other branch.");
  console.log(`Branch ${pager.siblingIndex} of ${pager.siblingCount}`);
  const { path } = await gus.show(pager.previousSibling.id);
  console.log(`Now shown: ${JSON.stringify(path.nodes.map(({ text }) => text))}`);
} catch (error) {
  console.error(error instanceof Refused ? `Refused: ${error.message}` : error);
  process.exitCode = 1;
} finally {
  await gus.close();
}
