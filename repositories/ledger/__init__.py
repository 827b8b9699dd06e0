"""The ledger in PostgreSQL: entered where runs end, summed up, and verified."""
