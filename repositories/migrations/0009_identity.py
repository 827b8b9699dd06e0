"""Who users are elsewhere, what they may have, bans and guests."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields
from tortoise.migrations.constraints import UniqueConstraint

KEYS = ops.RunSQL(
    "ALTER TABLE guest_days DROP CONSTRAINT guest_days_pkey, ADD PRIMARY KEY (address_digest, day);",
    "ALTER TABLE guest_days DROP CONSTRAINT guest_days_pkey, ADD PRIMARY KEY (day);",
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
    ]
