"""The README's JavaScript, run by Node with the packages of the GraphiQL page against a real server."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.readme import ROOT, blocks

WATCH, EVENTS = blocks("js")
PACKAGES = ROOT / "server/static/graphiql/node_modules"
SEND = """mutation { sendMessage(input: { text: "What is a tree?", idempotencyKey: "KEY" }) {
  ... on SendMessageSuccess { generation { id } } } }"""
RUN_WATCH = """
const lengths = [];
const text = await watch(URL, KEY, GENERATION, (soFar) => lengths.push(soFar.length));
console.log(JSON.stringify({ text, grew: new Set(lengths).size }));
process.exit(0);
"""
RUN_EVENTS = """
let text = "", steps = 0;
const query = "subscription($generation: ID!) { generationEvents(generation: $generation) { __typename ... on TextDelta { text } } }";
for await (const { data } of events(URL, KEY, query, { generation: GENERATION })) {
  if (data.generationEvents.__typename === "TextDelta") { text += data.generationEvents.text; steps += 1; }
}
console.log(JSON.stringify({ text, grew: steps }));
"""


@pytest.mark.web
@pytest.mark.parametrize(("recipe", "run", "scheme"), [(WATCH, RUN_WATCH, "ws"), (EVENTS, RUN_EVENTS, "http")])
def test_the_recipe_streams_an_answer(
    gus_url: str, gus_key: str, tmp_path: Path, recipe: str, run: str, scheme: str
) -> None:
    headers = {"Authorization": f"Bearer {gus_key}"}
    sent = httpx.post(f"{gus_url}/graphql", json={"query": SEND.replace("KEY", tmp_path.name)}, headers=headers).json()
    generation = sent["data"]["sendMessage"]["generation"]["id"]
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    url = f"{gus_url.replace('http', scheme)}/graphql"
    values = f"const URL = {json.dumps(url)}, KEY = {json.dumps(gus_key)}, GENERATION = {json.dumps(generation)};\n"
    (tmp_path / "recipe.mjs").write_text(recipe.replace("export ", "") + values + run)

    # Node has what browsers have for long, behind a flag in version 20.
    done = subprocess.run(
        ["node", "--experimental-websocket", "recipe.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout.splitlines()[-1])
    query = "query($id: ID!) { generation(id: $id) { reply { text status } } }"
    asked = {"query": query, "variables": {"id": generation}}
    reply = httpx.post(f"{gus_url}/graphql", json=asked, headers=headers).json()["data"]["generation"]["reply"]
    assert (shown["text"], reply["status"]) == (reply["text"], "COMPLETE")
    assert shown["grew"] > 5
