"""Every row class on one page: the ER diagram in code. What an ORM cannot say about them is SQL in the migrations.
Jobs are pgqueuer's: its tables are in the migration `jobs` only.

users ──< api_keys
  ├──< idempotency_keys
  └──< conversations ──< branches ──< messages ──< generations ──< generation_events
              │  │          └─ parent_branch, fork_depth    └─ waits for another one
              │  ├─ active leaf     └─ parent, the latest generation, feedback
              │  └──< conversation_events
known_models: of the processes' configurations
quota_windows, quota_overrides: of users, their addresses, API keys and plans
ledger_entries: of runs and background calls, which it outlives
instructions: of the platform, a role, a model, a user or a conversation
guest_days: by the digest of an address
models: what admins say of them
"""

from enum import IntEnum

from tortoise import fields
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint
from tortoise.models import Model


# `plan_key` null: the plan of the role. `banned_until` null with `banned_at`: for good. `issuer`, `subject`: whose tokens
# name the user so. `address_digest`: of a guest, where the session was started, keyed-hashed. `conversation_count`: of those
# that are not deleted.
class UserRow(Model):
    id = fields.UUIDField(primary_key=True)
    display_name = fields.TextField(null=True)
    role = fields.CharField(max_length=16)
    created_at = fields.DatetimeField()
    plan_key = fields.TextField(null=True)
    banned_at = fields.DatetimeField(null=True)
    banned_until = fields.DatetimeField(null=True)
    tokens_valid_from = fields.DatetimeField(null=True)
    issuer = fields.TextField(null=True)
    subject = fields.TextField(null=True)
    address_digest = fields.BinaryField(null=True)
    conversation_count = fields.IntField(db_default=0)

    class Meta:
        table = "users"
        constraints = (UniqueConstraint(fields=("issuer", "subject"), name="users_identity"),)


class ApiKeyRow(Model):
    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[UserRow] = fields.ForeignKeyField(
        "gus.UserRow", related_name="api_keys", on_delete=fields.RESTRICT
    )
    name = fields.TextField()
    prefix = fields.CharField(max_length=16)
    digest = fields.BinaryField()
    can_manage = fields.BooleanField()
    created_at = fields.DatetimeField()
    last_used_at = fields.DatetimeField(null=True)
    expires_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)

    class Meta:
        table = "api_keys"
        constraints = (UniqueConstraint(fields=("digest",), name="api_keys_digest"),)
        indexes = (Index(fields=("user_id", "id"), name="api_keys_user"),)


# Versions, only ever added to. `key`: empty, a role, a model's key, or the id of the user or conversation it is for.
# An empty text takes back what was in force. No foreign keys: what replies were given outlives who published it.
class InstructionRow(Model):
    id = fields.UUIDField(primary_key=True)
    scope = fields.CharField(max_length=16)
    key = fields.TextField()
    version = fields.IntField()
    text = fields.TextField()
    sha256 = fields.CharField(max_length=64)
    published_at = fields.DatetimeField()
    published_by = fields.UUIDField(null=True)

    class Meta:
        table = "instructions"
        constraints = (UniqueConstraint(fields=("scope", "key", "version"), name="instructions_version"),)


# How many guest sessions an address has started on a day (UTC); really keyed by (address_digest, day), as the migration says.
class GuestDayRow(Model):
    day = fields.DateField(primary_key=True)
    address_digest = fields.BinaryField()
    sessions = fields.IntField()

    class Meta:
        table = "guest_days"


# What admins have said about models since; it wins over the file of GUS_MODELS. Prices: of a million tokens.
class ModelRow(Model):
    key = fields.CharField(max_length=100, primary_key=True)
    provider = fields.TextField()
    name_at_provider = fields.TextField()
    display_name = fields.TextField()
    context_window = fields.IntField()
    max_output_tokens = fields.IntField(null=True)
    capabilities = ArrayField("text")
    input_price_nano = fields.BigIntField()
    output_price_nano = fields.BigIntField()
    fallbacks = ArrayField("text")
    max_concurrency = fields.IntField(null=True)
    retired = fields.BooleanField()
    updated_at = fields.DatetimeField()
    updated_by = fields.UUIDField()

    class Meta:
        table = "models"


# Plans files that were applied since; the newest wins over that of GUS_PLANS. Only ever added to: it is the record of who
# changed what plans say.
class AppliedPlansRow(Model):
    version = fields.IntField(primary_key=True, generated=False)
    document = fields.TextField()
    applied_at = fields.DatetimeField()
    applied_by = fields.TextField()

    class Meta:
        table = "applied_plans"


# Really keyed by (owner_id, key), as the migration says: never save or delete one by its instance.
class IdempotencyKeyRow(Model):
    owner_id = fields.UUIDField(primary_key=True)
    key = fields.TextField()
    fingerprint = fields.BinaryField()
    ids = fields.JSONField[dict[str, str]]()
    created_at = fields.DatetimeField()

    class Meta:
        table = "idempotency_keys"
        indexes = (Index(fields=("created_at",), name="idempotency_keys_created"),)


# Its row lock is the lock of its tree. `activations` counts how often the active leaf was set, `event_seq` its events.
# `context_policy` null: the default. `forked_from_id` may name a message that was purged; `forked_count`: copied ones.
class ConversationRow(Model):
    id = fields.UUIDField(primary_key=True)
    owner: fields.ForeignKeyRelation[UserRow] = fields.ForeignKeyField(
        "gus.UserRow", related_name="conversations", on_delete=fields.RESTRICT
    )
    title = fields.TextField(null=True)
    title_source = fields.CharField(max_length=16)
    state = fields.CharField(max_length=16)
    version = fields.IntField()
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()
    last_message_at = fields.DatetimeField(null=True)
    pinned = fields.BooleanField()
    tags = ArrayField("text")
    message_count = fields.IntField()
    root_count = fields.IntField()
    settings = fields.JSONField[dict[str, object]]()
    active_leaf_id = fields.UUIDField(null=True)
    activations = fields.BigIntField()
    deleted_at = fields.DatetimeField(null=True)
    event_seq = fields.IntField(db_default=0)
    context_policy = fields.JSONField[dict[str, object]](null=True)
    has_unread = fields.BooleanField(db_default=False)
    forked_from_id = fields.UUIDField(null=True)
    forked_count = fields.IntField(db_default=0)
    used_requests = fields.BigIntField(db_default=0)
    used_input_tokens = fields.BigIntField(db_default=0)
    used_output_tokens = fields.BigIntField(db_default=0)
    used_cost_nano = fields.BigIntField(db_default=0)
    used_errors = fields.BigIntField(db_default=0)

    class Meta:
        table = "conversations"


class EventKind(IntEnum):
    """conversation_events.kind"""

    OPENED = 0
    MESSAGE_ADDED = 1
    BRANCH_SELECTED = 2
    REPLY_STARTED = 3
    REPLY_FINISHED = 4
    DELETED = 5
    CONVERSATION_CHANGED = 6
    MESSAGE_CHANGED = 7


# What happened in a conversation; really keyed by (conversation_id, seq), as the migration says.
# The last one of a deleted conversation says so, and outlives it.
class ConversationEventRow(Model):
    conversation_id = fields.UUIDField(primary_key=True)
    seq = fields.IntField()
    at = fields.DatetimeField()
    kind = fields.SmallIntField()
    message_id = fields.UUIDField(null=True)
    generation_id = fields.UUIDField(null=True)
    owner_id = fields.UUIDField()

    class Meta:
        table = "conversation_events"
        indexes = (
            Index(fields=("owner_id", "at"), name="conversation_events_of"),
            Index(fields=("at",), name="conversation_events_age"),
        )


# A run of messages between forks. Its first message answers the one at `fork_depth` of the parent branch.
# A reply to a leaf extends the leaf's branch and every other reply opens one, so each branch ends in a leaf and each
# leaf ends a branch: `tip_number` is that leaf's number, `active_seq` what the conversation's `activations` was when
# the branch last held the active leaf.
class BranchRow(Model):
    id = fields.UUIDField(primary_key=True)
    conversation_id = fields.UUIDField()
    parent_branch_id = fields.UUIDField(null=True)
    fork_depth = fields.IntField(null=True)
    tip_number = fields.IntField()
    active_seq = fields.BigIntField(null=True)

    class Meta:
        table = "branches"
        constraints = (
            UniqueConstraint(fields=("conversation_id", "id"), name="branches_conversation"),
            CheckConstraint(check="(parent_branch_id IS NULL) = (fork_depth IS NULL)", name="branches_fork"),
        )
        indexes = (
            Index(fields=("parent_branch_id", "fork_depth"), name="branches_forks"),
            Index(fields=("conversation_id", "tip_number"), name="branches_tips"),
        )


# Where it stands never changes: a trigger holds that. `generation_id` is the latest run that wrote it.
# `tokens`: of its text, by tokenizer, as far as model servers have counted them.
class MessageRow(Model):
    id = fields.UUIDField(primary_key=True)
    conversation_id = fields.UUIDField()
    branch_id = fields.UUIDField()
    parent_id = fields.UUIDField(null=True)
    depth = fields.IntField()
    number = fields.IntField()
    sibling_index = fields.IntField()
    child_count = fields.IntField()
    role = fields.CharField(max_length=16)
    status = fields.CharField(max_length=16)
    text = fields.TextField()
    reasoning = fields.TextField(null=True)
    sent_at = fields.DatetimeField(null=True)
    received_at = fields.DatetimeField()
    first_token_at = fields.DatetimeField(null=True)
    completed_at = fields.DatetimeField(null=True)
    idempotency_key = fields.TextField(null=True)
    generation_id = fields.UUIDField(null=True)
    model_key = fields.TextField(null=True)
    tokens = fields.JSONField[dict[str, int]](null=True)

    class Meta:
        table = "messages"
        constraints = (
            UniqueConstraint(fields=("conversation_id", "id"), name="messages_conversation"),
            UniqueConstraint(fields=("branch_id", "depth"), name="messages_place"),
            UniqueConstraint(fields=("conversation_id", "number"), name="messages_number"),
            CheckConstraint(check="(parent_id IS NULL) = (depth = 0)", name="messages_root"),
        )


class FeedbackRow(Model):
    message_id = fields.UUIDField(primary_key=True)
    rating = fields.CharField(max_length=8)
    tags = ArrayField("text")
    comment = fields.TextField(null=True)
    updated_at = fields.DatetimeField()

    class Meta:
        table = "feedback"


# A run, leased by a node. Each commit of the log rewrites it, so nothing that a commit or a lease moves is indexed.
# A QUEUED one has neither node nor lease. `line`: where it had its turn; until it ends it holds one of that line's slots.
# `handed_over`: another process is to go on with its reply, until one does, or its user does something about it.
# `compacted_through`: entries of its log up to it are gone. `context`: what its model was given.
# It is its own reservation: what is `reserved` was counted in the windows of `reserved_at` of its payer, its API key and
# the address of a guest, and is held until it ends. `prices`: of those who may answer, as they were then.
class GenerationRow(Model):
    id = fields.UUIDField(primary_key=True)
    conversation_id = fields.UUIDField()
    owner_id = fields.UUIDField()
    reply_id = fields.UUIDField()
    trigger = fields.CharField(max_length=16)
    status = fields.CharField(max_length=16)
    finish_reason = fields.CharField(max_length=16, null=True)
    error_code = fields.CharField(max_length=32, null=True)
    error_retryable = fields.BooleanField(null=True)
    error_retry_after = fields.FloatField(null=True)
    model_key = fields.TextField()
    requested_model_key = fields.TextField()
    settings = fields.JSONField[dict[str, object]]()
    estimated_input_tokens = fields.IntField()
    queued_at = fields.DatetimeField()
    started_at = fields.DatetimeField(null=True)
    first_token_at = fields.DatetimeField(null=True)
    ended_at = fields.DatetimeField(null=True)
    input_tokens = fields.IntField(null=True)
    output_tokens = fields.IntField(null=True)
    cached_input_tokens = fields.IntField(null=True)
    reasoning_tokens = fields.IntField(null=True)
    usage_source = fields.CharField(max_length=16, null=True)
    cost_nano = fields.BigIntField(null=True)
    text_offset = fields.IntField()
    last_seq = fields.IntField()
    attempt = fields.IntField()
    node = fields.UUIDField(null=True)
    lease_until = fields.DatetimeField(null=True)
    stop_requested_at = fields.DatetimeField(null=True)
    stop_seen_seq = fields.IntField(null=True)
    stop_reason = fields.CharField(max_length=16, null=True)
    waits_for = fields.UUIDField(null=True)
    queue_position = fields.IntField(null=True)
    queued_event_at = fields.DatetimeField(null=True)
    line = fields.TextField(null=True)
    notices = fields.JSONField[list[object]](null=True)
    attempts = fields.JSONField[list[object]](null=True)
    produced_tokens = fields.IntField(db_default=0)
    instruction = fields.TextField(null=True)
    compacted_through = fields.IntField(db_default=0)
    handed_over = fields.BooleanField(db_default=False)
    context = fields.JSONField[dict[str, object]](null=True)
    payer_id = fields.UUIDField(null=True)
    api_key_id = fields.UUIDField(null=True)
    reserved_at = fields.DatetimeField(null=True)
    reserved_messages = fields.IntField(db_default=0)
    reserved_tokens = fields.BigIntField(db_default=0)
    reserved_nano = fields.BigIntField(null=True)
    prices = fields.JSONField[list[object]](null=True)
    address_id = fields.UUIDField(null=True)

    class Meta:
        table = "generations"
        indexes = (Index(fields=("reply_id",), name="generations_reply"),)


# The token log; really keyed by (generation_id, seq), as the migration says.
# `position` is a delta's offset, the length that a truncation leaves, or the place in a queue.
class GenerationEventRow(Model):
    generation_id = fields.UUIDField(primary_key=True)
    seq = fields.IntField()
    at = fields.DatetimeField()
    kind = fields.SmallIntField()
    text = fields.TextField(null=True)
    position = fields.IntField(null=True)
    detail = fields.JSONField[dict[str, object]](null=True)

    class Meta:
        table = "generation_events"


# A call of a model besides the runs: a title, a summary. What it cost outlives what it was for. `line`: whose slot it has
# until it ends.
class ModelCallRow(Model):
    id = fields.UUIDField(primary_key=True)
    owner_id = fields.UUIDField()
    conversation_id = fields.UUIDField()
    purpose = fields.CharField(max_length=16)
    model_key = fields.TextField()
    line = fields.TextField(null=True)
    started_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)
    input_tokens = fields.IntField(null=True)
    output_tokens = fields.IntField(null=True)
    cached_input_tokens = fields.IntField(null=True)
    reasoning_tokens = fields.IntField(null=True)
    usage_source = fields.CharField(max_length=16, null=True)
    cost_nano = fields.BigIntField(null=True)

    class Meta:
        table = "model_calls"


# A model that some process has in its configuration, and when one last said so.
class KnownModelRow(Model):
    key = fields.CharField(primary_key=True, max_length=100)
    seen_at = fields.DatetimeField()

    class Meta:
        table = "known_models"


# Of a path down to `covers_through`, which stands at (branch_id, depth): every path through it shares it. `refused`: it could
# not stand in for the path, and has no text.
class ContextSummaryRow(Model):
    id = fields.UUIDField(primary_key=True)
    conversation: fields.ForeignKeyRelation[ConversationRow] = fields.ForeignKeyField(
        "gus.ConversationRow", related_name="summaries", on_delete=fields.RESTRICT
    )
    covers_through = fields.UUIDField()
    branch_id = fields.UUIDField()
    depth = fields.IntField()
    text = fields.TextField()
    model_key = fields.TextField()
    tokens = fields.IntField()
    created_at = fields.DatetimeField()
    supersedes = fields.UUIDField(null=True)
    refused = fields.BooleanField(db_default=False)

    class Meta:
        table = "context_summaries"
        constraints = (UniqueConstraint(fields=("covers_through",), name="context_summaries_place"),)
        indexes = (Index(fields=("conversation_id", "depth"), name="context_summaries_of"),)


# What a payer, an API key or the address of guests has taken in one window of time, and what runs that have not
# ended hold of it. Really keyed by (subject_id, span, starts_at), in which order they are locked. INSTANT never turns: it
# has what is running, and all that ever was.
class QuotaWindowRow(Model):
    subject_id = fields.UUIDField(primary_key=True)
    span = fields.CharField(max_length=8)
    starts_at = fields.DatetimeField()
    messages = fields.BigIntField(db_default=0)
    tokens_used = fields.BigIntField(db_default=0)
    tokens_reserved = fields.BigIntField(db_default=0)
    cost_used_nano = fields.BigIntField(db_default=0)
    cost_reserved_nano = fields.BigIntField(db_default=0)
    running = fields.IntField(db_default=0)
    told = ArrayField("text", null=True)

    class Meta:
        table = "quota_windows"


# `subject`: the id of a user or an API key, or a plan's key. Really keyed by (subject, scope, metric, span).
class QuotaOverrideRow(Model):
    subject = fields.CharField(primary_key=True, max_length=100)
    scope = fields.CharField(max_length=8)
    metric = fields.CharField(max_length=32)
    span = fields.CharField(max_length=8)
    soft = fields.DecimalField(max_digits=20, decimal_places=9, null=True)
    hard = fields.DecimalField(max_digits=20, decimal_places=9, null=True)
    set_at = fields.DatetimeField()
    set_by = fields.UUIDField()

    class Meta:
        table = "quota_overrides"


# Only ever added to, which a trigger holds. Two entries to a transaction, of its user's and of the model's account, whose
# amounts are nothing together; really keyed by (transaction_id, account), so that nothing is settled twice. No foreign
# keys: it outlives everything that it names. `sent_at`: of its reservation.
class LedgerEntryRow(Model):
    transaction_id = fields.UUIDField(primary_key=True)
    account = fields.TextField()
    amount_nano = fields.BigIntField()
    at = fields.DatetimeField()
    owner_id = fields.UUIDField()
    payer_id = fields.UUIDField(null=True)
    api_key_id = fields.UUIDField(null=True)
    conversation_id = fields.UUIDField()
    message_id = fields.UUIDField(null=True)
    model_key = fields.TextField()
    purpose = fields.CharField(max_length=8)
    input_tokens = fields.BigIntField()
    output_tokens = fields.BigIntField()
    failed = fields.BooleanField()
    latency_ms = fields.IntField()
    sent_at = fields.DatetimeField(null=True)
    address_id = fields.UUIDField(null=True)

    class Meta:
        table = "ledger_entries"
        indexes = (
            Index(fields=("account", "at"), name="ledger_entries_account"),
            Index(fields=("conversation_id",), name="ledger_entries_conversation"),
        )
