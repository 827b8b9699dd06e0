"""Rows of pgqueuer's table, from and to the domain's words."""

import json
from uuid import UUID

from pgqueuer.domain.models import Job as JobRow

from domain.job import Job, JobKind
from domain.world import ConversationId, MessageId, UserId


def enqueue(kind: JobKind, *, key: str, owner: str, conversation: str, message: str) -> str:
    """The beginning of one more part of a statement that causes a job: columns are named, FROM and WHERE follow.

    One job of a kind and key at a time: the others are ON CONFLICT DO NOTHING.
    """
    return f"""
    INSERT INTO pgqueuer (priority, status, entrypoint, dedupe_key, payload)
    SELECT 0, 'queued', '{kind.value}', '{kind.value} ' || {key}, convert_to(
      json_build_object('owner', {owner}, 'conversation', {conversation}, 'message', {message})::text, 'UTF8'
    )
    """


def to_job(kind: JobKind, row: JobRow) -> Job:
    about = json.loads(row.payload or b"{}")
    return Job(
        kind,
        UserId(UUID(about["owner"])),
        ConversationId(UUID(about["conversation"])),
        MessageId(UUID(about["message"])),
    )
