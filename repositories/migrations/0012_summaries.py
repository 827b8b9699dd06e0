"""Summaries that stand in for what fell out of the window."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.fields.base import OnDelete
from uuid import uuid4
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import UniqueConstraint

PLACE = ops.AddConstraint(
    "ContextSummaryRow", UniqueConstraint(fields=("covers_through",), name="context_summaries_place")
)


class Migration(migrations.Migration):
    dependencies = [('gus', '0011_models')]

    initial = False

    operations = [
        ops.CreateModel(
            name='ContextSummaryRow',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('conversation', fields.ForeignKeyField('gus.ConversationRow', source_field='conversation_id', db_constraint=True, to_field='id', related_name='summaries', on_delete=OnDelete.RESTRICT)),
                ('covers_through', fields.UUIDField()),
                ('branch_id', fields.UUIDField()),
                ('depth', fields.IntField()),
                ('text', fields.TextField(unique=False)),
                ('model_key', fields.TextField(unique=False)),
                ('tokens', fields.IntField()),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('supersedes', fields.UUIDField(null=True)),
                ('refused', fields.BooleanField(db_default=False)),
            ],
            options={'table': 'context_summaries', 'app': 'gus', 'indexes': [Index(fields=['conversation_id', 'depth'], name='context_summaries_of')], 'pk_attr': 'id'},
            bases=['Model'],
        ),
        PLACE,
    ]
