"""What reaches a model, for any tree: instructions, summary, path and new text, in order, and never a sibling's text."""

import asyncio
import itertools
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar

from domain.instruction import PREAMBLE
from providers.counting import Counting
from providers.openai import ServerConfig
from server.compose import Gus
from server.models_file import Catalogue
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.models import model
from tests.graphql.process import new_user
from tests.graphql.test_titles import is_of_job, jobs_done
from tests.model_server import ModelServer
from tests.model_server.answer import Seen, prompt_tokens

RESERVE = 40
WINDOWS = {"counted": 140, "estimated": 560}
# What a question and a reply begin with; no two are alike.
MARK = re.compile(r"\bq\d+-\d+\b|\bw1-\w+")
SUMMARY = "Summary of the conversation so far:\n\nThey spoke."
STEPS = 20
# Trees that grow side by side, each of a user of its own.
AT_ONCE = 6
# Longer than it may take elsewhere: a server that is slow to count is not waited for, and words are estimated as more.
COUNT_TIMEOUT = timedelta(seconds=30)

GIVEN = """
query($reply: ID!, $run: ID!) {
  message(id: $reply) { text }
  generation(id: $run) {
    context { includedCount excludedCount estimatedInputTokens summary { text coversThrough { id } } }
  }
}
"""


# No more than is looked at: a step is asked for twenty thousand times.
STARTED = """
mutation($input: %s!) {
  %s(input: $input) {
    __typename ... on SendMessageSuccess { conversation { id } userMessage { id } reply { id } generation { id } }
  }
}
"""
ENDED = "subscription($id: ID!) { generationEvents(generation: $id, after: 0) { __typename } }"


@pytest.fixture
def catalogue(model_server: ModelServer) -> Catalogue:
    """Their servers' tokens are words; one counts when it is asked, the other's are estimated, one sums up."""
    counted = model("counted", provider="counting", context_window=WINDOWS["counted"], max_output_tokens=RESERVE)
    estimated = model("estimated", context_window=WINDOWS["estimated"], max_output_tokens=RESERVE)
    cheap = replace(
        model("cheap", provider="steady", output_price_per_million=Decimal("0.1")),
        name_at_provider="scripted/say=They spoke.",
    )
    long = model("long-counted", provider="counting", context_window=400, max_output_tokens=RESERVE)
    longer = model("long-estimated", context_window=2500, max_output_tokens=RESERVE)
    servers = [ServerConfig(each.provider, model_server.base_url) for each in (estimated, cheap)]
    counting = ServerConfig("counting", model_server.base_url, counts=Counting.LLAMA_CPP, count_timeout=COUNT_TIMEOUT)
    return Catalogue((counted, estimated, long, longer, cheap), (*servers, counting))


@dataclass(slots=True)
class Said:
    id: str
    parent: "Said | None"
    role: str
    text: str

    @property
    def path(self) -> list["Said"]:
        return [*(self.parent.path if self.parent else ()), self]


@dataclass(slots=True)
class Told:
    """A tree as its user knows it, without looking at how it is stored or cut."""

    ada: FrontEnd
    gus: Gus
    model_server: ModelServer
    seed: int
    dice: random.Random
    model: str
    policy: dict[str, object]
    instruction: str | None = None
    messages: list[Said] = field(default_factory=list)
    conversation: str = ""
    before: int = 0
    trimmed: int = 0
    summarized: int = 0

    def asking(self, mark: str) -> str:
        """Some are answered, some are refused by the model and leave an empty reply."""
        fault = {"fault": "bad_request"} if self.dice.random() < 0.15 else {}
        words = " ".join(["word"] * self.dice.randrange(20))
        return script(words=self.dice.randrange(1, 20), id=f"{mark} {words}", **fault)

    async def step(self) -> None:
        self.before = self.model_server.seen[-1].number if self.model_server.seen else 0
        mark = f"q{self.seed}-{len(self.messages)}"
        replies = [message for message in self.messages if message.role == "assistant"]
        questions = [message for message in self.messages if message.role == "user"]
        if not self.messages:
            new = {"contextPolicy": self.policy, "instruction": self.instruction}
            text = self.asking(mark)
            sent = await self.ended("sendMessage", text=text, newConversation=new)
            self.conversation = sent["conversation"]["id"]
            await self.see(sent, None, text)
            return
        parent = self.dice.choice([replies[-1]] * 20 + replies + self.messages)
        match self.dice.choices(("send", "edit", "regenerate", "instruct"), (7, 1, 1, 1))[0]:
            case "send":
                text, place = self.asking(mark), {"conversation": self.conversation, "parent": parent.id}
                await self.see(await self.ended("sendMessage", text=text, **place), parent, text)
            case "edit":
                old, text = self.dice.choice(questions), self.asking(mark)
                await self.see(await self.ended("editMessage", text=text, message=old.id), old.parent, text)
            case "regenerate":
                old = self.dice.choice(replies)
                assert old.parent is not None
                await self.see(await self.ended("regenerateReply", reply=old.id), old.parent.parent, old.parent.text)
            case "instruct":
                self.instruction = f"Rule {len(self.messages)} holds."
                await self.ada.update(self.conversation, instruction=self.instruction)

    async def ended(self, mutation: str, **input: object) -> dict[str, Any]:
        """What was asked for, when its reply has ended."""
        given = {**input, "idempotencyKey": str(uuid4()), "settings": {"model": self.model}}
        document = STARTED % (f"{mutation[0].upper()}{mutation[1:]}Input", mutation)
        sent: dict[str, Any] = (await self.ada.ask(document, input=given))[mutation]
        assert sent["__typename"] == "SendMessageSuccess", sent
        async with self.ada.watching(ENDED, id=sent["generation"]["id"]) as events:
            assert [event["__typename"] async for event in events][-1] == "GenerationFinished"
        return sent

    async def see(self, sent: dict[str, Any], parent: Said | None, text: str) -> None:
        """Takes the exchange into the tree, and looks at what the model was asked."""
        asked = next((message for message in self.messages if message.id == sent["userMessage"]["id"]), None)
        if asked is None:
            asked = Said(sent["userMessage"]["id"], parent, "user", text)
            self.messages.append(asked)
        found = await self.ada.ask(GIVEN, reply=sent["reply"]["id"], run=sent["generation"]["id"])
        self.messages.append(Said(sent["reply"]["id"], asked, "assistant", found["message"]["text"]))
        self.check(self.request(), asked, found["generation"]["context"])
        await jobs_done(self.gus)

    def request(self) -> Seen:
        """The one that this step has led to; other trees' come in between."""
        since = itertools.takewhile(lambda seen: seen.number > self.before, reversed(self.model_server.seen))
        [mine] = [seen for seen in since if is_of_reply(seen) and seen.script.id.startswith(f"q{self.seed}-")]
        return mine

    def check(self, seen: Seen, asked: Said, context: dict[str, Any]) -> None:
        turns = seen.body["messages"]
        assert isinstance(turns, list)
        if self.instruction:
            assert turns[0] == {
                "role": "system",
                "content": f"{PREAMBLE}\n\n# This conversation\n\n> {self.instruction}",
            }
        rest = [(turn["role"], turn["content"]) for turn in turns[bool(self.instruction) :]]
        path, summary = asked.path, context["summary"]
        assert context["includedCount"] + context["excludedCount"] == len(path)
        included = path[context["excludedCount"] :]
        expected = [("user", SUMMARY)] if summary else []
        assert rest == joined([*expected, *((message.role, message.text) for message in included if message.text)])
        if not summary:
            assert included[0].role == "user"
        else:
            covered = [message.id for message in path[: context["excludedCount"]]]
            assert summary["coversThrough"]["id"] in covered
        assert prompt_tokens(seen.body) <= context["estimatedInputTokens"] <= WINDOWS[self.model] - RESERVE
        self.trimmed += context["excludedCount"] > 0
        self.summarized += summary is not None


def is_of_reply(seen: Seen) -> bool:
    return "messages" in seen.body and not is_of_job(seen)


def joined(turns: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbours of one role are one turn."""
    done: list[tuple[str, str]] = []
    for role, text in turns:
        if done and done[-1][0] == role:
            done[-1] = role, f"{done[-1][1]}\n\n{text}"
        else:
            done.append((role, text))
    return done


@pytest.mark.parametrize(
    "seeds",
    [range(20), *(pytest.param(range(first, first + 250), marks=pytest.mark.prove) for first in range(0, 1_000, 250))],
    ids=lambda seeds: f"{seeds.start}-{seeds.stop}",
)
async def test_for_random_trees_a_model_is_given_its_own_path_in_order_and_within_its_window(
    app: Litestar, gus: Gus, model_server: ModelServer, seeds: range
) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def grown(seed: int) -> Told:
        async with places:
            told = planted(FrontEnd(app, await new_user(gus, "Ada", can_manage=False)), gus, model_server, seed)
            for _ in range(STEPS):
                await told.step()
        return told

    async with asyncio.TaskGroup() as tasks:
        growing = [tasks.create_task(grown(seed)) for seed in seeds]
    trees = [each.result() for each in growing]
    assert model_server.seen[0].number == 1, "some requests were forgotten"
    check_jobs(filter(is_of_job, model_server.seen), trees)
    assert sum(told.trimmed for told in trees) > len(seeds)
    assert sum(told.summarized for told in trees) > len(seeds) // 2


def planted(ada: FrontEnd, gus: Gus, model_server: ModelServer, seed: int) -> Told:
    dice = random.Random(seed)
    policy: dict[str, object] = {"strategy": dice.choice(("SLIDING_WINDOW", "SUMMARIZE", "SUMMARIZE"))}
    instruction = dice.choice((None, "Rule 0 holds."))
    return Told(ada, gus, model_server, seed, dice, dice.choice(("counted", "estimated")), policy, instruction)


def check_jobs(jobs: Iterable[Seen], trees: Iterable[Told]) -> None:
    """What a summary is made of stands on one path."""
    said = {mark: message for told in trees for message in told.messages for mark in MARK.findall(message.text)}
    for seen in jobs:
        marks = set(MARK.findall(str(seen.body["messages"])))
        deepest = max((said[mark] for mark in marks), key=lambda message: len(message.path))
        assert marks <= {mark for message in deepest.path for mark in MARK.findall(message.text)}


@pytest.mark.parametrize("name", ["counted", "estimated"])
async def test_of_200_turns_nine_in_ten_begin_with_the_bytes_of_the_turn_before(
    ada: FrontEnd, model_server: ModelServer, name: str
) -> None:
    """Up to the end of what was said then: that is what a model server's cache goes by."""
    sent, kept, before = dict[str, Any](), 0, b""
    for turn in range(200):
        place = here(sent) if sent else {"newConversation": {"instruction": "Be brief."}}
        sent = await ada.said(script(words=2, id=f"{turn}"), **place, settings={"model": f"long-{name}"})
        raw = model_server.seen[-1].raw
        kept += raw.startswith(before)
        before = raw[: raw.index(b'}], "max_tokens"')]
    found = await ada.ask(GIVEN, reply=sent["reply"]["id"], run=sent["generation"]["id"])
    context = found["generation"]["context"]
    assert context["includedCount"] < 100 < context["excludedCount"]
    assert kept >= 180
