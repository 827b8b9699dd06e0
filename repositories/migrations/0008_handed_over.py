"""Replies that an orderly shutdown has left for another process to go on with."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# Almost always empty.
INDEX = ops.RunSQL(
    "CREATE INDEX generations_handed_over ON generations (ended_at) WHERE handed_over;",
    "DROP INDEX generations_handed_over;",
)


class Migration(migrations.Migration):
    dependencies = [("gus", "0007_known_models")]

    initial = False

    operations = [
        ops.AddField(model_name="GenerationRow", name="handed_over", field=fields.BooleanField(db_default=False)),
        INDEX,
    ]
