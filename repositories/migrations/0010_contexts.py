"""What each run's model was given, and how many tokens a message has."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# The newest answers of a model whose prompts its server has counted. No commit of a log moves their columns.
INDEX = ops.RunSQL(
    "CREATE INDEX generations_counted ON generations (model_key, ended_at) WHERE usage_source = 'PROVIDER';",
    "DROP INDEX generations_counted;",
)


class Migration(migrations.Migration):
    dependencies = [('gus', '0009_identity')]

    initial = False

    operations = [
        ops.AddField(
            model_name='GenerationRow',
            name='context',
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads),
        ),
        ops.AddField(
            model_name='MessageRow',
            name='tokens',
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(',', ':')), decoder=loads),
        ),
        INDEX,
    ]
