"""Changes of conversations and their messages: a context policy, a read mark, feedback, forks; and lists of runs."""

from tortoise import migrations
from tortoise.migrations import operations as ops
import functools
from json import dumps, loads
from tortoise.contrib.postgres.fields import ArrayField
from uuid import uuid4
from tortoise import fields

FEEDBACK = ops.RunSQL(
    "ALTER TABLE feedback ADD CONSTRAINT feedback_message FOREIGN KEY (message_id) REFERENCES messages (id);",
    "ALTER TABLE feedback DROP CONSTRAINT feedback_message;",
)

# What is idle; what a user has forked; the runs of a conversation in their order.
INDEXES = ops.RunSQL(
    """
    CREATE INDEX conversations_idle ON conversations ((coalesce(last_message_at, created_at)))
      WHERE state = 'ACTIVE' AND deleted_at IS NULL;
    CREATE INDEX conversations_forked ON conversations (owner_id, forked_count)
      WHERE forked_count > 0 AND deleted_at IS NULL;
    CREATE INDEX generations_in ON generations (conversation_id, queued_at, id);
    """,
    "DROP INDEX generations_in, conversations_forked, conversations_idle;",
)


class Migration(migrations.Migration):
    dependencies = [('gus', '0004_instructions')]

    initial = False

    operations = [
        ops.CreateModel(
            name='FeedbackRow',
            fields=[
                ('message_id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('rating', fields.CharField(max_length=8)),
                ('tags', ArrayField(element_type='text')),
                ('comment', fields.TextField(null=True, unique=False)),
                ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'feedback', 'app': 'gus', 'pk_attr': 'message_id'},
            bases=['Model'],
        ),
        ops.AddField(
            model_name='ConversationRow',
            name='context_policy',
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads),
        ),
        ops.AddField(
            model_name='ConversationRow',
            name='forked_count',
            field=fields.IntField(db_default=0),
        ),
        ops.AddField(
            model_name='ConversationRow',
            name='forked_from_id',
            field=fields.UUIDField(null=True),
        ),
        ops.AddField(
            model_name='ConversationRow',
            name='has_unread',
            field=fields.BooleanField(db_default=False),
        ),
        FEEDBACK,
        INDEXES,
    ]
