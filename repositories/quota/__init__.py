"""Counters and overrides in PostgreSQL: reserved in a send's transaction, settled in that of a run's end."""
