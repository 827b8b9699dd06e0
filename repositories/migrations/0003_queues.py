"""Queues before model servers, retention of token logs, and what happens in a conversation as a log of its own."""

from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from json import dumps, loads
from uuid import uuid4
from tortoise import fields
from tortoise.indexes import Index

# No foreign key: the mark of a deletion outlives the conversation.
EVENTS = ops.RunSQL(
    "ALTER TABLE conversation_events DROP CONSTRAINT conversation_events_pkey, ADD PRIMARY KEY (conversation_id, seq);",
    "ALTER TABLE conversation_events DROP CONSTRAINT conversation_events_pkey, ADD PRIMARY KEY (conversation_id);",
)

# What waits, what holds a slot or has had its turn, what is to be compacted. No commit of a log moves their columns.
INDEXES = ops.RunSQL(
    """
    CREATE INDEX generations_queued ON generations (model_key) WHERE status = 'QUEUED';
    CREATE INDEX generations_waiting ON generations (waits_for) WHERE status = 'QUEUED';
    CREATE INDEX generations_in_line ON generations (line) WHERE line IS NOT NULL AND ended_at IS NULL;
    CREATE INDEX generations_turns ON generations (owner_id, started_at) WHERE line IS NOT NULL;
    CREATE INDEX generations_to_compact ON generations (ended_at) WHERE ended_at IS NOT NULL AND compacted_through = 0;
    """,
    "DROP INDEX generations_to_compact, generations_turns, generations_in_line, generations_waiting, generations_queued;",
)


class Migration(migrations.Migration):
    dependencies = [('gus', '0002_beyond_the_orm')]

    initial = False

    operations = [
        ops.CreateModel(
            name='ConversationEventRow',
            fields=[
                ('conversation_id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('seq', fields.IntField()),
                ('at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('kind', fields.SmallIntField()),
                ('message_id', fields.UUIDField(null=True)),
                ('generation_id', fields.UUIDField(null=True)),
                ('owner_id', fields.UUIDField()),
            ],
            options={'table': 'conversation_events', 'app': 'gus', 'indexes': [Index(fields=['owner_id', 'at'], name='conversation_events_of'), Index(fields=['at'], name='conversation_events_age')], 'pk_attr': 'conversation_id'},
            bases=['Model'],
        ),
        ops.AddField(
            model_name='ConversationRow',
            name='event_seq',
            field=fields.IntField(db_default=0),
        ),
        ops.AddField(
            model_name='GenerationRow',
            name='attempts',
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads),
        ),
        ops.AddField(
            model_name='GenerationRow',
            name='compacted_through',
            field=fields.IntField(db_default=0),
        ),
        ops.AddField(
            model_name='GenerationRow',
            name='line',
            field=fields.TextField(null=True, unique=False),
        ),
        ops.AddField(
            model_name='GenerationRow',
            name='notices',
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads),
        ),
        ops.AddField(
            model_name='GenerationRow',
            name='produced_tokens',
            field=fields.IntField(db_default=0),
        ),
        ops.AddField(
            model_name='GenerationRow',
            name='queue_position',
            field=fields.IntField(null=True),
        ),
        ops.AddField(
            model_name='GenerationRow',
            name='queued_event_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='GenerationRow',
            name='stop_reason',
            field=fields.CharField(null=True, max_length=16),
        ),
        ops.AddField(
            model_name='GenerationRow',
            name='waits_for',
            field=fields.UUIDField(null=True),
        ),
        EVENTS,
        INDEXES,
    ]
