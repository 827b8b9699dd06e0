"""What is counted and held against limits, what administrators set, what runs hold, and the ledger of what they cost."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

KEYS = ops.RunSQL(
    """
    ALTER TABLE quota_windows DROP CONSTRAINT quota_windows_pkey, ADD PRIMARY KEY (subject_id, span, starts_at);
    ALTER TABLE quota_overrides DROP CONSTRAINT quota_overrides_pkey, ADD PRIMARY KEY (subject, scope, metric, span);
    ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_pkey, ADD PRIMARY KEY (transaction_id, account);
    ALTER TABLE quota_windows SET (fillfactor = 50);
    CREATE INDEX quota_windows_past ON quota_windows (span, starts_at);
    """,
    """
    DROP INDEX quota_windows_past;
    ALTER TABLE quota_windows RESET (fillfactor);
    ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_pkey, ADD PRIMARY KEY (transaction_id);
    ALTER TABLE quota_overrides DROP CONSTRAINT quota_overrides_pkey, ADD PRIMARY KEY (subject);
    ALTER TABLE quota_windows DROP CONSTRAINT quota_windows_pkey, ADD PRIMARY KEY (subject_id);
    """,
)

# The windows that a moment lies in, for the counters of a payer and of an API key. INSTANT never turns.
WINDOWS = ops.RunSQL(
    """
    CREATE FUNCTION quota_windows_at(payer_id uuid, api_key_id uuid, at timestamptz)
    RETURNS TABLE (subject_id uuid, span text, starts_at timestamptz) LANGUAGE sql STABLE ROWS 10 AS $$
      SELECT subject, span, CASE WHEN span = 'INSTANT' THEN 'epoch' ELSE date_trunc(lower(span), at, 'UTC') END
      FROM unnest(ARRAY[payer_id, api_key_id]) AS s (subject),
        unnest(ARRAY['MINUTE', 'HOUR', 'DAY', 'MONTH', 'INSTANT']) AS w (span)
      WHERE subject IS NOT NULL AND at IS NOT NULL
    $$;
    """,
    "DROP FUNCTION quota_windows_at;",
)

LEDGER = ops.RunSQL(
    """
    CREATE INDEX ledger_entries_at ON ledger_entries (at);
    CREATE INDEX ledger_entries_sent ON ledger_entries (payer_id, sent_at) WHERE sent_at IS NOT NULL;
    CREATE INDEX ledger_entries_of_key ON ledger_entries (api_key_id, sent_at) WHERE api_key_id IS NOT NULL;
    CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'the ledger is only ever added to' USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER ledger_entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
      FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
    """,
    """
    DROP TRIGGER ledger_entries_stay ON ledger_entries;
    DROP FUNCTION refuse_rewriting();
    DROP INDEX ledger_entries_of_key, ledger_entries_sent, ledger_entries_at;
    """,
)

# What was taken before there was a ledger. Nothing was counted then, so it is in no window.
BEFORE = ops.RunSQL(
    """
    INSERT INTO ledger_entries (account, amount_nano, transaction_id, at, owner_id, conversation_id, message_id, model_key,
      purpose, input_tokens, output_tokens, failed, latency_ms)
    SELECT side.account, side.sign * coalesce(e.cost_nano, 0), e.id, e.ended_at, e.owner_id, e.conversation_id, e.message_id,
      e.model_key, e.purpose, coalesce(e.input_tokens, 0), coalesce(e.output_tokens, 0), e.failed,
      least(round(extract(epoch FROM e.ended_at - e.began_at) * 1000), 2147483647)::int
    FROM (
      SELECT id, owner_id, conversation_id, reply_id AS message_id, model_key, 'REPLY' AS purpose, input_tokens,
        output_tokens, error_code IS NOT NULL AS failed, cost_nano, queued_at AS began_at, ended_at
      FROM generations WHERE ended_at IS NOT NULL
      UNION ALL
      SELECT id, owner_id, conversation_id, NULL, model_key, purpose, input_tokens, output_tokens, usage_source IS NULL,
        cost_nano, started_at, ended_at
      FROM model_calls WHERE ended_at IS NOT NULL
    ) e CROSS JOIN LATERAL (VALUES ('user:' || e.owner_id, 1), ('model:' || e.model_key, -1)) AS side (account, sign);
    UPDATE conversations c SET used_requests = e.requests, used_input_tokens = e.input_tokens,
      used_output_tokens = e.output_tokens, used_cost_nano = e.cost_nano, used_errors = e.errors
    FROM (
      SELECT conversation_id, count(*) AS requests, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
        sum(amount_nano) AS cost_nano, count(*) FILTER (WHERE failed) AS errors
      FROM ledger_entries WHERE account = 'user:' || owner_id GROUP BY conversation_id
    ) e WHERE e.conversation_id = c.id;
    """,
    "SELECT 1;",
)


class Migration(migrations.Migration):
    dependencies = [("gus", "0012_summaries")]

    initial = False

    operations = [
        ops.CreateModel(
            name="QuotaWindowRow",
            fields=[
                ("subject_id", fields.UUIDField(primary_key=True, unique=True, db_index=True)),
                ("span", fields.CharField(max_length=8)),
                ("starts_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("messages", fields.BigIntField(db_default=0)),
                ("tokens_used", fields.BigIntField(db_default=0)),
                ("tokens_reserved", fields.BigIntField(db_default=0)),
                ("cost_used_nano", fields.BigIntField(db_default=0)),
                ("cost_reserved_nano", fields.BigIntField(db_default=0)),
                ("running", fields.IntField(db_default=0)),
                ("told", ArrayField(element_type="text", null=True)),
            ],
            options={"table": "quota_windows", "app": "gus", "pk_attr": "subject_id"},
            bases=["Model"],
        ),
        ops.CreateModel(
            name="QuotaOverrideRow",
            fields=[
                ("subject", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=100)),
                ("scope", fields.CharField(max_length=8)),
                ("metric", fields.CharField(max_length=32)),
                ("span", fields.CharField(max_length=8)),
                ("soft", fields.DecimalField(null=True, max_digits=20, decimal_places=9)),
                ("hard", fields.DecimalField(null=True, max_digits=20, decimal_places=9)),
                ("set_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("set_by", fields.UUIDField()),
            ],
            options={"table": "quota_overrides", "app": "gus", "pk_attr": "subject"},
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LedgerEntryRow",
            fields=[
                ("transaction_id", fields.UUIDField(primary_key=True, unique=True, db_index=True)),
                ("account", fields.TextField(unique=False)),
                ("amount_nano", fields.BigIntField()),
                ("at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("owner_id", fields.UUIDField()),
                ("payer_id", fields.UUIDField(null=True)),
                ("api_key_id", fields.UUIDField(null=True)),
                ("conversation_id", fields.UUIDField()),
                ("message_id", fields.UUIDField(null=True)),
                ("model_key", fields.TextField(unique=False)),
                ("purpose", fields.CharField(max_length=8)),
                ("input_tokens", fields.BigIntField()),
                ("output_tokens", fields.BigIntField()),
                ("failed", fields.BooleanField()),
                ("latency_ms", fields.IntField()),
                ("sent_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "ledger_entries",
                "app": "gus",
                "indexes": [
                    Index(fields=["account", "at"], name="ledger_entries_account"),
                    Index(fields=["conversation_id"], name="ledger_entries_conversation"),
                ],
                "pk_attr": "transaction_id",
            },
            bases=["Model"],
        ),
        *(
            ops.AddField(model_name="GenerationRow", name=name, field=field)
            for name, field in (
                ("payer_id", fields.UUIDField(null=True)),
                ("api_key_id", fields.UUIDField(null=True)),
                ("reserved_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("reserved_messages", fields.IntField(db_default=0)),
                ("reserved_tokens", fields.BigIntField(db_default=0)),
                ("reserved_nano", fields.BigIntField(null=True)),
                (
                    "prices",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
            )
        ),
        *(
            ops.AddField(model_name="ConversationRow", name=name, field=fields.BigIntField(db_default=0))
            for name in ("used_requests", "used_input_tokens", "used_output_tokens", "used_cost_nano", "used_errors")
        ),
        KEYS,
        WINDOWS,
        BEFORE,
        LEDGER,
    ]
