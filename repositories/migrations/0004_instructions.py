"""Versions of instructions, and the instruction that a run was given for itself."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import UniqueConstraint
from uuid import uuid4
from tortoise import fields

VERSIONS = ops.AddConstraint(
    "InstructionRow", UniqueConstraint(fields=("scope", "key", "version"), name="instructions_version")
)

# A reply names the versions that it was given, for as long as the reply stands.
NEVER_EDITED = ops.RunSQL(
    """
    CREATE FUNCTION refuse_another_text() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'a version of an instruction never changes' USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER instructions_stay BEFORE UPDATE OF scope, key, version, text, sha256
      ON instructions FOR EACH ROW EXECUTE FUNCTION refuse_another_text();
    """,
    """
    DROP TRIGGER instructions_stay ON instructions;
    DROP FUNCTION refuse_another_text();
    """,
)


class Migration(migrations.Migration):
    dependencies = [('gus', '0003_queues')]

    initial = False

    operations = [
        ops.CreateModel(
            name='InstructionRow',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('scope', fields.CharField(max_length=16)),
                ('key', fields.TextField(unique=False)),
                ('version', fields.IntField()),
                ('text', fields.TextField(unique=False)),
                ('sha256', fields.CharField(max_length=64)),
                ('published_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('published_by', fields.UUIDField(null=True)),
            ],
            options={'table': 'instructions', 'app': 'gus', 'pk_attr': 'id'},
            bases=['Model'],
        ),
        ops.AddField(
            model_name='GenerationRow',
            name='instruction',
            field=fields.TextField(null=True, unique=False),
        ),
        VERSIONS,
        NEVER_EDITED,
    ]
