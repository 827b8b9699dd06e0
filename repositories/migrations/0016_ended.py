"""Runs by when they ended."""

from tortoise import migrations
from tortoise.migrations import operations as ops

# What has not ended is not in it, so what a commit of the log rewrites is not: a run is entered when it ends.
ENDED = ops.RunSQL(
    "CREATE INDEX generations_ended ON generations (ended_at) WHERE ended_at IS NOT NULL;",
    "DROP INDEX generations_ended;",
)


class Migration(migrations.Migration):
    dependencies = [("gus", "0015_applied_plans")]

    initial = False

    operations = [ENDED]
