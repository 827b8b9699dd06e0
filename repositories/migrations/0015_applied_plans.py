"""Plans that are applied while the server runs."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("gus", "0014_guests_budgets")]

    initial = False

    operations = [
        ops.CreateModel(
            name="AppliedPlansRow",
            fields=[
                ("version", fields.IntField(primary_key=True, unique=True, db_index=True, generated=False)),
                ("document", fields.TextField(unique=False)),
                ("applied_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("applied_by", fields.TextField(unique=False)),
            ],
            options={"table": "applied_plans", "app": "gus", "pk_attr": "version"},
            bases=["Model"],
        ),
    ]
