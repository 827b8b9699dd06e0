"""What a user may do next, to whatever there is by then."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st

from domain.conversation.entity import MAY_BECOME, ConversationState
from resolvers.node import encode
from tests.graphql.documents import DELETE
from tests.graphql.forest import Forest, StoredMessage, Tree
from tests.graphql.front_end import FrontEnd, script

T = TypeVar("T")

SUCCESS = {
    "send": "SendMessageSuccess",
    "edit": "SendMessageSuccess",
    "regenerate": "SendMessageSuccess",
    "continue": "SendMessageSuccess",
    "stop": "StopGenerationSuccess",
    "select": "SelectBranchSuccess",
    "fork": "ForkConversationSuccess",
    "state": "SetConversationStateSuccess",
    "delete": "DeleteConversationSuccess",
}
TALK = ("send", "edit", "regenerate", "continue")

HANGS = (script(words=9, after=3, fault="hang_between"), "scripted")
# What is said, to which model: answers that end never, soon, late, too early, badly, or one after the other. Many hang, so
# that others wait for them.
SAYINGS = [
    HANGS,
    HANGS,
    HANGS,
    (script(words=2), "scripted"),
    (script(words=6, delay_ms=10), "scripted"),
    (script(words=2, finish="length"), "scripted"),
    (script(words=2, finish="length"), "whole"),
    (script(words=5, after=2, fault="cut"), "other"),
    (script(fault="bad_request"), "other"),
    (script(words=2), "scarce"),
]


@dataclass(frozen=True, slots=True)
class Act:
    """`pick` and `other`: which of those that there are, counted around. `elsewhere`: through the other process."""

    kind: str
    pick: int
    other: int
    elsewhere: bool
    saying: int
    on_busy: str
    scope: str
    state: str

    def of(self, things: Sequence[T]) -> T | None:
        return things[self.pick % len(things)] if things else None


def acts() -> st.SearchStrategy[Act]:
    # Talk more often, so that there is something to do the rest to, and most of all where talk goes on, so that replies queue.
    return st.builds(
        Act,
        kind=st.sampled_from([*["send"] * 6, *TALK, *SUCCESS]),
        pick=st.integers(0, 10_000),
        other=st.integers(0, 10_000),
        elsewhere=st.booleans(),
        saying=st.integers(0, len(SAYINGS) - 1),
        on_busy=st.sampled_from(["REJECT", "ENQUEUE", "ENQUEUE", "ENQUEUE", "INTERRUPT", "BRANCH"]),
        scope=st.sampled_from(["PATH", "PATH_AND_SIBLINGS", "SUBTREE"]),
        state=st.sampled_from(["ACTIVE", "ACTIVE", "ACTIVE", "PAUSED", "ARCHIVED"]),
    )


@dataclass(frozen=True, slots=True)
class Done:
    """`tree` as it was before; None: a new one was begun."""

    act: Act
    tree: Tree | None
    message: StoredMessage | None
    answer: dict[str, Any]

    @property
    def answered(self) -> str:
        return str(self.answer["__typename"])

    @property
    def succeeded(self) -> bool:
        return self.answered == SUCCESS[self.act.kind]


async def performed(act: Act, user: FrontEnd, forest: Forest) -> Done | None:
    """None: there is nothing to do it to."""
    match act.kind:
        case "send":
            return await _sent(act, user, forest)
        case "stop":
            return await _stopped(act, user, forest)
        case "state" | "delete":
            return await _governed(act, user, forest)
        case _:
            return await _done_to_a_message(act, user, forest)


async def _sent(act: Act, user: FrontEnd, forest: Forest) -> Done:
    """Now and then into a new conversation, else below the active leaf or some message."""
    text, asked = _said(act)
    tree = act.of([None, *forest.trees.values()] if len(forest.trees) < 2 else list(forest.trees.values()))
    where: dict[str, object] = {"conversation": encode("Conversation", tree.conversation.id)} if tree else {}
    if tree and tree.messages and act.other % 4 == 0:
        where["parent"] = encode("Message", tree.messages[act.other % len(tree.messages)].id)
    return Done(act, tree, None, await user.send(text, **where, **asked, onBusy=act.on_busy))


async def _stopped(act: Act, user: FrontEnd, forest: Forest) -> Done | None:
    run = act.of(forest.unfinished or list(forest.runs.values()))
    if run is None:
        return None
    seen = [None, 0, 2, 99][act.other % 4]
    return Done(act, forest.trees[run.conversation_id], None, await user.stop(encode("Generation", run.id), seen))


async def _governed(act: Act, user: FrontEnd, forest: Forest) -> Done | None:
    tree = act.of(list(forest.trees.values()))
    # Some stay, or the trees would never grow.
    if tree is None or (act.kind == "delete" and len(forest.trees) < 3):
        return None
    id = encode("Conversation", tree.conversation.id)
    if act.kind == "state":
        return Done(act, tree, None, await user.set_state(id, act.state))
    return Done(act, tree, None, (await user.ask(DELETE, conversation=id))["deleteConversation"])


async def _done_to_a_message(act: Act, user: FrontEnd, forest: Forest) -> Done | None:
    role = {"edit": ["USER"], "regenerate": ["ASSISTANT"], "continue": ["ASSISTANT"]}.get(
        act.kind, ["USER", "ASSISTANT"]
    )
    message = act.of([each for each in forest.messages.values() if each.role in role])
    if message is None:
        return None
    id, (text, asked) = encode("Message", message.id), _said(act)
    match act.kind:
        case "edit":
            answer = await user.edit(id, text, **asked, onBusy=act.on_busy)
        case "regenerate":
            answer = await user.regenerate(id, onBusy=act.on_busy)
        case "continue":
            answer = await user.go_on(id)
        case "select":
            answer = await user.select(id)
        case _:
            answer = await user.fork(id, scope=act.scope)
    return Done(act, forest.trees[message.conversation_id], message, answer)


def _said(act: Act) -> tuple[str, dict[str, object]]:
    text, model = SAYINGS[act.saying]
    return text, {"settings": {"model": model}}


def allowed(done: Done) -> set[str]:
    """What may be answered when nobody else does anything meanwhile."""
    act, success = done.act, SUCCESS[done.act.kind]
    state = ConversationState(done.tree.conversation.state) if done.tree else ConversationState.ACTIVE
    is_open = state in (ConversationState.ACTIVE, ConversationState.INACTIVE)
    match act.kind:
        case "continue":
            return (
                {success, "ConversationBusy", "NotContinuable"}
                if is_open
                else {"ConversationClosed", "NotContinuable", "ConversationBusy"}
            )
        case "regenerate" if is_open and done.message and done.message.parent_id is None:
            return {"InvalidInput"}
        case kind if kind in TALK:
            return {success, "ConversationBusy"} if is_open else {"ConversationClosed"}
        case "select":
            return {"ConversationClosed" if state is ConversationState.ARCHIVED else success}
        case "state":
            wanted = ConversationState(act.state)
            return {success if wanted is state or wanted in MAY_BECOME[state] else "IllegalTransition"}
        case _:
            return {success}


def copied(done: Done) -> int:
    """How many messages a fork has."""
    tree, message = done.tree, done.message
    assert tree is not None
    assert message is not None
    match done.act.scope:
        case "PATH":
            return message.depth + 1
        case "SUBTREE":
            return len(tree.below(message))
        case _:
            return sum(len(tree.families[each.parent_id]) for each in tree.path(message))
