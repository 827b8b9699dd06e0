"""How many conversations a user has."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

COUNT = ops.RunSQL(
    """
    UPDATE users u SET conversation_count = c.count
    FROM (SELECT owner_id, count(*) FROM conversations WHERE deleted_at IS NULL GROUP BY owner_id) c WHERE c.owner_id = u.id
    """,
    "SELECT 1",
)


class Migration(migrations.Migration):
    dependencies = [("gus", "0016_ended")]

    initial = False

    operations = [
        ops.AddField(model_name="UserRow", name="conversation_count", field=fields.IntField(db_default=0)),
        COUNT,
    ]
