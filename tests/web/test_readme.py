"""The README's JavaScript, run by Node with the packages of the GraphiQL page against a real server."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.e2e.cutting import cut_line
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


pytestmark = pytest.mark.web


def test_the_recipe_for_resuming_has_forty_lines_and_goes_on_after_a_cut(
    gus_url: str, gus_key: str, tmp_path: Path
) -> None:
    assert len(WATCH.splitlines()) <= 40
    with cut_line(gus_url, after=3) as line:
        check(gus_url, gus_key, tmp_path, WATCH + RUN_WATCH, f"{line.origin.replace('http', 'ws')}/graphql")
        assert line.cuts == 1


def test_the_recipe_with_nothing_but_fetch_streams_an_answer(gus_url: str, gus_key: str, tmp_path: Path) -> None:
    check(gus_url, gus_key, tmp_path, EVENTS + RUN_EVENTS, f"{gus_url}/graphql")


def check(gus_url: str, gus_key: str, tmp_path: Path, program: str, url: str) -> None:
    headers = {"Authorization": f"Bearer {gus_key}"}
    sent = httpx.post(f"{gus_url}/graphql", json={"query": SEND.replace("KEY", tmp_path.name)}, headers=headers).json()
    generation = sent["data"]["sendMessage"]["generation"]["id"]
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    values = f"const URL = {json.dumps(url)}, KEY = {json.dumps(gus_key)}, GENERATION = {json.dumps(generation)};\n"
    (tmp_path / "recipe.mjs").write_text(values + program.replace("export ", ""))

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
