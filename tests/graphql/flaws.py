"""What must hold of all trees of a user whatever was done, and what may have changed from one moment to the next."""

import itertools
import re
from collections.abc import Iterator

from domain.generation.entity import GenerationStatus
from tests.graphql.forest import Forest, StoredMessage, StoredRun, Tree
from tests.graphql.models import MODELS


def flaws(forest: Forest) -> list[str]:
    """In words; none where all is well."""
    checks = (_parents, _numbers, _siblings, _leaves, _branches, _replies, _writers, _usage, _totals)
    found = (flaw for tree in forest.trees.values() for check in checks for flaw in check(tree))
    return list(found)


def _parents(tree: Tree) -> Iterator[str]:
    """Each stands below an earlier one of its tree: so there is neither an orphan nor a cycle."""
    earlier: dict[str, StoredMessage] = {}
    for message in tree.messages:
        parent = earlier.get(message.parent_id or "")
        if message.parent_id is not None and parent is None:
            yield f"{message} has no parent before it"
        if message.depth != (parent.depth + 1 if parent else 0):
            yield f"{message} is not one deeper than {parent}"
        earlier[message.id] = message


def _numbers(tree: Tree) -> Iterator[str]:
    count = tree.conversation.message_count
    if [message.number for message in tree.messages] != list(range(1, count + 1)):
        yield f"{count} messages are numbered {[message.number for message in tree.messages]}"


def _siblings(tree: Tree) -> Iterator[str]:
    families = tree.families
    for parent_id, family in families.items():
        if [message.sibling_index for message in family] != list(range(1, len(family) + 1)):
            yield f"below {parent_id} stand {family}"
    for message in tree.messages:
        if message.child_count != len(families.get(message.id, [])):
            yield f"{message} has other children: {families.get(message.id)}"
    if tree.conversation.root_count != len(families.get(None, [])):
        yield f"{tree.conversation} has other roots: {families.get(None)}"


def _leaves(tree: Tree) -> Iterator[str]:
    leaves, shown = tree.leaves, tree.conversation.active_leaf_id
    ends: set[str | None] = {leaf.id for leaf in leaves}
    if shown not in (ends or {None}):
        yield f"{shown} is shown, and is no leaf"
    for leaf in leaves:
        path = tree.path(leaf)
        if [message.depth for message in path] != list(range(leaf.depth + 1)):
            yield f"{leaf} has no path from a root: {path}"
    if len(leaves) != len(tree.branches):
        yield f"{len(tree.branches)} branches have {len(leaves)} ends"


def _branches(tree: Tree) -> Iterator[str]:
    by_id = tree.by_id
    for branch in tree.branches:
        run = sorted((each for each in tree.messages if each.branch_id == branch.id), key=lambda each: each.depth)
        first = 0 if branch.fork_depth is None else branch.fork_depth + 1
        if [message.depth for message in run] != list(range(first, first + len(run))) or not run:
            yield f"{branch} is not one run from its fork down: {run}"
            continue
        if any(below.parent_id != above.id for above, below in itertools.pairwise(run)):
            yield f"{branch} is torn: {run}"
        parent = by_id.get(run[0].parent_id or "")
        if (parent and (parent.branch_id, parent.depth)) != (
            branch.parent_branch_id and (branch.parent_branch_id, branch.fork_depth)
        ):
            yield f"{branch} does not fork where it says: {parent}"
        if branch.tip_number != run[-1].number:
            yield f"{branch} does not end in {run[-1]}"


def _replies(tree: Tree) -> Iterator[str]:
    """A run writes one reply, and is the latest to do so while it lasts; the end of a run is that of its reply."""
    by_id, runs = tree.by_id, {run.id: run for run in tree.runs}
    for run in tree.runs:
        reply = by_id.get(run.reply_id)
        if reply is None or reply.role != "ASSISTANT":
            yield f"{run} writes {reply}"
        elif run.ended_at is None and reply.generation_id != run.id:
            yield f"{run} goes on, and another one writes {reply}"
    for message in tree.messages:
        last = runs.get(message.generation_id or "")
        if message.generation_id is not None and (last is None or last.reply_id != message.id):
            yield f"{message} is of {last}"
        if last and last.ended_at and message.status != GenerationStatus(last.status).of_reply().value:
            yield f"{message} is left behind by {last}"
        if last is None and message.status in ("PENDING", "STREAMING"):
            yield f"nobody writes {message}"


def _writers(tree: Tree) -> Iterator[str]:
    """Nobody answers what is still being written; to be stopped, one that waits has its turn at once."""
    by_id, unfinished = tree.by_id, {run.reply_id: run for run in tree.runs if run.ended_at is None}
    for reply_id, run in unfinished.items():
        above = [message for message in tree.path(by_id[reply_id])[:-1] if message.id in unfinished]
        if run.status == "RUNNING" and run.stop_requested_at is None and above:
            yield f"{run} answers what is being written: {above}"


_PRICES = {
    model.key: (int(model.input_price_per_million * 1000), int(model.output_price_per_million * 1000))
    for model in MODELS
}


def _usage(tree: Tree) -> Iterator[str]:
    """A run that completed has produced what it added to its reply, any other at least that; and costs by the price list."""
    by_id = tree.by_id
    for reply_id, runs in itertools.groupby(sorted(tree.runs, key=lambda run: run.reply_id), lambda run: run.reply_id):
        texts = _added(by_id[reply_id].text, list(runs))
        for run, text in texts:
            if run.ended_at is None or run.output_tokens is None:
                continue
            words = len(re.findall(r"w\d+-", text))
            if words > run.output_tokens or (run.status == "COMPLETED" and words != run.output_tokens):
                yield f"{run} has added {words} words: {text!r}"
            price = _PRICES[run.model_key]  # type: ignore[index]  # a ModelKey is a str
            if run.cost_nano != (run.input_tokens or 0) * price[0] + run.output_tokens * price[1]:
                yield f"{run} costs something else"


def _totals(tree: Tree) -> Iterator[str]:
    """A conversation has taken what its runs have taken that have ended, and a fork nothing of its origin's."""
    ended = [run for run in tree.runs if run.ended_at is not None]
    sums = (
        len(ended),
        sum(run.input_tokens or 0 for run in ended),
        sum(run.output_tokens or 0 for run in ended),
        sum(run.cost_nano or 0 for run in ended),
        sum(run.error_code is not None for run in ended),
    )
    used = tree.conversation
    if sums != (
        used.used_requests,
        used.used_input_tokens,
        used.used_output_tokens,
        used.used_cost_nano,
        used.used_errors,
    ):
        yield f"{used} has taken {sums}"


def _added(text: str, runs: list[StoredRun]) -> list[tuple[StoredRun, str]]:
    """Each begins where the one before it ended. All words are ASCII."""
    ends = [*(run.text_offset for run in runs[1:]), len(text)]
    return [(run, text[run.text_offset : end]) for run, end in zip(runs, ends, strict=True)]


def changes(before: Forest, after: Forest) -> list[str]:
    """What has happened that must not: nothing that was said or has ended is ever another, or gone."""
    return list(itertools.chain(_moved(before, after), _rewritten(before, after), _billed_again(before, after)))


def _moved(before: Forest, after: Forest) -> Iterator[str]:
    for id, tree in before.trees.items():
        if id not in after.trees:
            continue
        now, was = after.trees[id].conversation, tree.conversation
        if (now.message_count, now.version, now.event_seq) < (was.message_count, was.version, was.event_seq):
            yield f"{was} went back to {now}"
        by_id = after.trees[id].by_id
        yield from (f"{each} is gone" for each in tree.messages if each.id not in by_id)
        yield from (
            f"{each} has moved" for each in tree.messages if each.id in by_id and by_id[each.id].place != each.place
        )


def _rewritten(before: Forest, after: Forest) -> Iterator[str]:
    messages, runs = after.messages, before.runs
    for message in before.messages.values():
        now, run = messages.get(message.id), runs.get(message.generation_id or "")
        if now is None or (run is not None and run.ended_at is None):
            continue
        same_run = now.generation_id == message.generation_id
        if same_run and (now.text, now.status) != (message.text, message.status):
            yield f"{message} became {now}"
        if not same_run and not now.text.startswith(message.text):
            yield f"{message} was gone on with as {now}"


def _billed_again(before: Forest, after: Forest) -> Iterator[str]:
    runs = after.runs
    for run in before.runs.values():
        if run.ended_at is not None and run.id in runs and runs[run.id] != run:
            yield f"{run} became {runs[run.id]}"
