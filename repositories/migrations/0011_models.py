"""What admins say about models; and who the admins are, under a lock."""

from tortoise import fields, migrations
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.migrations import operations as ops

# The last admin is looked for under a lock.
ADMINS = ops.RunSQL(
    "CREATE INDEX users_admins ON users (id) WHERE role = 'ADMIN';",
    "DROP INDEX users_admins;",
)


class Migration(migrations.Migration):
    dependencies = [("gus", "0010_contexts")]

    initial = False

    operations = [
        ops.CreateModel(
            name="ModelRow",
            fields=[
                ("key", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=100)),
                ("provider", fields.TextField(unique=False)),
                ("name_at_provider", fields.TextField(unique=False)),
                ("display_name", fields.TextField(unique=False)),
                ("context_window", fields.IntField()),
                ("max_output_tokens", fields.IntField(null=True)),
                ("capabilities", ArrayField(element_type="TEXT")),
                ("input_price_nano", fields.BigIntField()),
                ("output_price_nano", fields.BigIntField()),
                ("fallbacks", ArrayField(element_type="TEXT")),
                ("max_concurrency", fields.IntField(null=True)),
                ("retired", fields.BooleanField()),
                ("updated_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("updated_by", fields.UUIDField()),
            ],
            options={"table": "models", "app": "gus", "pk_attr": "key"},
            bases=["Model"],
        ),
        ADMINS,
    ]
