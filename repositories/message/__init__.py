"""Messages in PostgreSQL: every way to walk a conversation's tree."""
