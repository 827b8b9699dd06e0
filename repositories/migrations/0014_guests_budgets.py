"""What the guests of one address take is counted for the address, and for each of them."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# Until now the payer of a guest's run was his address: what was taken then stays counted there.
WINDOWS = ops.RunSQL(
    """
    DROP FUNCTION quota_windows_at;
    CREATE FUNCTION quota_windows_at(subjects uuid[], at timestamptz)
    RETURNS TABLE (subject_id uuid, span text, starts_at timestamptz) LANGUAGE sql STABLE ROWS 10 AS $$
      SELECT subject, span, CASE WHEN span = 'INSTANT' THEN 'epoch' ELSE date_trunc(lower(span), at, 'UTC') END
      FROM unnest(subjects) AS s (subject), unnest(ARRAY['MINUTE', 'HOUR', 'DAY', 'MONTH', 'INSTANT']) AS w (span)
      WHERE subject IS NOT NULL AND at IS NOT NULL
    $$;
    CREATE INDEX ledger_entries_of_address ON ledger_entries (address_id, sent_at) WHERE address_id IS NOT NULL;
    """,
    """
    DROP INDEX ledger_entries_of_address;
    DROP FUNCTION quota_windows_at;
    CREATE FUNCTION quota_windows_at(payer_id uuid, api_key_id uuid, at timestamptz)
    RETURNS TABLE (subject_id uuid, span text, starts_at timestamptz) LANGUAGE sql STABLE ROWS 10 AS $$
      SELECT subject, span, CASE WHEN span = 'INSTANT' THEN 'epoch' ELSE date_trunc(lower(span), at, 'UTC') END
      FROM unnest(ARRAY[payer_id, api_key_id]) AS s (subject),
        unnest(ARRAY['MINUTE', 'HOUR', 'DAY', 'MONTH', 'INSTANT']) AS w (span)
      WHERE subject IS NOT NULL AND at IS NOT NULL
    $$;
    """,
)


class Migration(migrations.Migration):
    dependencies = [("gus", "0013_quotas")]

    initial = False

    operations = [
        ops.AddField(model_name="GenerationRow", name="address_id", field=fields.UUIDField(null=True)),
        ops.AddField(model_name="LedgerEntryRow", name="address_id", field=fields.UUIDField(null=True)),
        WINDOWS,
    ]
