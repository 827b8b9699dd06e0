"""What is entered into the ledger, in the statement that ends a run or a call: once for each, as its key is its run's.

Two entries, of the user and of the model, whose amounts are nothing together. All else on them says what they are for.
"""

_INTO = """
entered AS (
  INSERT INTO ledger_entries (account, amount_nano, transaction_id, at, owner_id, payer_id, api_key_id, address_id,
    conversation_id, message_id, model_key, purpose, input_tokens, output_tokens, failed, latency_ms, sent_at)
  SELECT side.account, side.sign * coalesce(e.cost_nano, 0), {facts}
  FROM ended e CROSS JOIN LATERAL (VALUES ('user:' || e.owner_id, 1), ('model:' || e.model_key, -1)) AS side (account, sign)
)
"""

# Of `ended`, which is a row of generations.
RUN_ENTERED = _INTO.format(
    facts="""e.id, e.ended_at, e.owner_id, e.payer_id, e.api_key_id, e.address_id, e.conversation_id,
    e.reply_id, e.model_key, 'REPLY', coalesce(e.input_tokens, 0), coalesce(e.output_tokens, 0), e.error_code IS NOT NULL,
    least(round(extract(epoch FROM e.ended_at - e.queued_at) * 1000), 2147483647)::int, e.reserved_at"""
)

# Of `ended`, which is a row of model_calls. Nobody has answered: it failed.
CALL_ENTERED = _INTO.format(
    facts="""e.id, e.ended_at, e.owner_id, NULL, NULL, NULL, e.conversation_id, NULL, e.model_key,
    e.purpose, coalesce(e.input_tokens, 0), coalesce(e.output_tokens, 0), e.usage_source IS NULL,
    least(round(extract(epoch FROM e.ended_at - e.started_at) * 1000), 2147483647)::int, NULL"""
)


def used(failed: str) -> str:
    """The running totals of a conversation `c`, as the ledger has them after `ended`."""
    return f"""
    used_requests = c.used_requests + 1,
    used_input_tokens = c.used_input_tokens + coalesce(ended.input_tokens, 0),
    used_output_tokens = c.used_output_tokens + coalesce(ended.output_tokens, 0),
    used_cost_nano = c.used_cost_nano + coalesce(ended.cost_nano, 0),
    used_errors = c.used_errors + ({failed})::int"""
