"""Which models living processes know, so that nobody waits for one that has left every configuration."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("gus", "0006_jobs")]

    initial = False

    operations = [
        ops.CreateModel(
            name="KnownModelRow",
            fields=[
                ("key", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=100)),
                ("seen_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "known_models", "app": "gus", "pk_attr": "key"},
            bases=["Model"],
        ),
    ]
