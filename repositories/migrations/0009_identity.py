"""Who users are elsewhere, what they may have, bans and guests; and what administrators say of models."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.contrib.postgres.fields import ArrayField
from tortoise import fields
from tortoise.migrations.constraints import UniqueConstraint

KEYS = ops.RunSQL(
    "ALTER TABLE guest_days DROP CONSTRAINT guest_days_pkey, ADD PRIMARY KEY (address_digest, day);",
    "ALTER TABLE guest_days DROP CONSTRAINT guest_days_pkey, ADD PRIMARY KEY (day);",
)

# The last administrator is looked for under a lock.
ADMINS = ops.RunSQL(
    "CREATE INDEX users_admins ON users (id) WHERE role = 'ADMIN';",
    "DROP INDEX users_admins;",
)


class Migration(migrations.Migration):
    dependencies = [('gus', '0008_handed_over')]

    initial = False

    operations = [
        ops.CreateModel(
            name='GuestDayRow',
            fields=[
                ('day', fields.DateField(primary_key=True, unique=True, db_index=True)),
                ('address_digest', fields.BinaryField()),
                ('sessions', fields.IntField()),
            ],
            options={'table': 'guest_days', 'app': 'gus', 'pk_attr': 'day'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='ModelRow',
            fields=[
                ('key', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=100)),
                ('provider', fields.TextField(unique=False)),
                ('name_at_provider', fields.TextField(unique=False)),
                ('display_name', fields.TextField(unique=False)),
                ('context_window', fields.IntField()),
                ('max_output_tokens', fields.IntField(null=True)),
                ('capabilities', ArrayField(element_type='TEXT')),
                ('input_price_nano', fields.BigIntField()),
                ('output_price_nano', fields.BigIntField()),
                ('fallbacks', ArrayField(element_type='TEXT')),
                ('max_concurrency', fields.IntField(null=True)),
                ('retired', fields.BooleanField()),
                ('updated_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('updated_by', fields.UUIDField()),
            ],
            options={'table': 'models', 'app': 'gus', 'pk_attr': 'key'},
            bases=['Model'],
        ),
        ops.AddField(
            model_name='UserRow',
            name='address_digest',
            field=fields.BinaryField(null=True),
        ),
        ops.AddField(
            model_name='UserRow',
            name='banned_at',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='UserRow',
            name='banned_until',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='UserRow',
            name='issuer',
            field=fields.TextField(null=True, unique=False),
        ),
        ops.AddField(
            model_name='UserRow',
            name='plan_key',
            field=fields.TextField(null=True, unique=False),
        ),
        ops.AddField(
            model_name='UserRow',
            name='subject',
            field=fields.TextField(null=True, unique=False),
        ),
        ops.AddField(
            model_name='UserRow',
            name='tokens_valid_from',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddConstraint(
            model_name='UserRow',
            constraint=UniqueConstraint(fields=('issuer', 'subject'), name='users_identity'),
        ),
        KEYS,
        ADMINS,
    ]
