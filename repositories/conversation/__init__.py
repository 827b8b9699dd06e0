"""Conversations in PostgreSQL, and the transaction that writes to their trees."""
