"""Events of plain fields are answered as graphql-core answers them; all others are left to it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from graphql import ExecutionResult, Executor, execute_subscription_event, parse

import schema
from domain.generation.log import GenerationStarted, LogEntry, TextDelta, TextTruncated, TruncationReason
from domain.model import ModelKey
from domain.world import GenerationId
from server.graphql.plain import PlainEvents
from server.graphql.run import graphql_schema

DELTA = TextDelta(2, datetime(2026, 1, 2, tzinfo=UTC), GenerationId(UUID(int=1)), "Trees 🌳", 7)
TRUNCATED = TextTruncated(3, DELTA.at, DELTA.generation_id, 5, TruncationReason.STOPPED)
STARTED = GenerationStarted(1, DELTA.at, DELTA.generation_id, 1, ModelKey("llama"))


def executor(selection: str, **variables: object) -> Executor[Any]:
    built = schema.build()
    declared = "($with: Boolean!)" if variables else ""
    document = f'subscription{declared} {{ told: generationEvents(generation: "g") {selection} }}'
    made = built.execution_context_class.build(graphql_schema(built), parse(document), raw_variable_values=variables)
    assert not isinstance(made, list)
    return made


def executed(executor: Executor[Any], event: object) -> object:
    result = execute_subscription_event(executor.build_per_event_executor(event))
    assert isinstance(result, ExecutionResult)
    assert not result.errors
    return result.data


@pytest.mark.parametrize("event", [DELTA, TRUNCATED, STARTED])
@pytest.mark.parametrize(
    "selection",
    [
        "{ __typename seq at ... on TextDelta { text offset } ... on TextTruncated { length reason } }",
        "{ number: seq seq ... on GenerationStarted { attempt } ... { at } }",
        "{ seq ... on TextDelta @include(if: true) { text @skip(if: true) offset } }",
    ],
)
def test_plain_fields_are_answered_as_if_executed(selection: str, event: LogEntry) -> None:
    made = executor(selection)
    assert PlainEvents(made).answer(event) == executed(made, event)


@pytest.mark.parametrize("chosen", [True, False])
def test_variables_decide_for_one_operation(chosen: bool) -> None:
    made = executor("{ seq ... on TextDelta { text @include(if: $with) } }", **{"with": chosen})
    assert PlainEvents(made).answer(DELTA) == executed(made, DELTA)


@pytest.mark.parametrize("selection", ["{ generation { id } }", "{ ... on TextDelta { textSoFar } }"])
def test_what_needs_a_resolver_is_executed(selection: str) -> None:
    assert PlainEvents(executor(selection)).answer(DELTA) is None


def test_what_cannot_be_answered_is_executed_for_its_error() -> None:
    broken = replace(DELTA, offset=None)  # type: ignore[arg-type]  # what the schema forbids
    assert PlainEvents(executor("{ seq ... on TextDelta { offset } }")).answer(broken) is None
