"""Rows of conversations, to and from the domain's words."""

import json
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any

from domain.conversation.entity import Conversation, ConversationState, TitleSource
from domain.ledger import UsageTotals
from domain.window.policy import ContextPolicy, ContextStrategy
from domain.world import ConversationId, MessageId, UserId
from repositories.generation.detail import to_settings
from repositories.money import usd

_POLICY = tuple(field.name for field in fields(ContextPolicy))


def to_conversation(row: Mapping[str, Any]) -> Conversation:
    return Conversation(
        id=ConversationId(row["id"]),
        owner_id=UserId(row["owner_id"]),
        title=row["title"],
        title_source=TitleSource(row["title_source"]),
        state=ConversationState(row["state"]),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_message_at=row["last_message_at"],
        pinned=row["pinned"],
        tags=tuple(row["tags"]),
        message_count=row["message_count"],
        root_count=row["root_count"],
        settings=to_settings(row["settings"]),
        context_policy=to_policy(row["context_policy"]),
        active_leaf_id=None if row["active_leaf_id"] is None else MessageId(row["active_leaf_id"]),
        has_unread=row["has_unread"],
        forked_from_id=None if row["forked_from_id"] is None else MessageId(row["forked_from_id"]),
        event_seq=row["event_seq"],
        usage=UsageTotals(
            row["used_requests"],
            row["used_input_tokens"],
            row["used_output_tokens"],
            usd(row["used_cost_nano"]),
            row["used_errors"],
        ),
    )


def policy_json(policy: ContextPolicy) -> str:
    """What differs from the default, which may change."""
    default = ContextPolicy()
    said = {name: value for name in _POLICY if (value := getattr(policy, name)) != getattr(default, name)}
    return json.dumps({name: value.value if isinstance(value, Enum) else value for name, value in said.items()})


def to_policy(text: str | None) -> ContextPolicy:
    stored = json.loads(text or "{}")
    if "strategy" in stored:
        stored["strategy"] = ContextStrategy(stored["strategy"])
    return ContextPolicy(**stored)
