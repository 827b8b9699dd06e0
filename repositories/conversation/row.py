"""Rows of conversations, to and from the domain's words."""

from collections.abc import Mapping
from typing import Any

from domain.conversation.entity import Conversation, ConversationState, TitleSource
from domain.world import ConversationId, MessageId, UserId
from repositories.generation.detail import to_settings


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
        active_leaf_id=None if row["active_leaf_id"] is None else MessageId(row["active_leaf_id"]),
        event_seq=row["event_seq"],
    )
