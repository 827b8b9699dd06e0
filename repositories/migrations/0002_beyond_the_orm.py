"""What the ORM cannot say: composite keys, partial indexes, the immutable place of a message, room for HOT updates."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

CONSTRAINTS = [
    ops.AddConstraint("ApiKeyRow", UniqueConstraint(fields=("digest",), name="api_keys_digest")),
    ops.AddConstraint("BranchRow", UniqueConstraint(fields=("conversation_id", "id"), name="branches_conversation")),
    ops.AddConstraint(
        "BranchRow",
        CheckConstraint(check="(parent_branch_id IS NULL) = (fork_depth IS NULL)", name="branches_fork"),
    ),
    ops.AddConstraint("MessageRow", UniqueConstraint(fields=("conversation_id", "id"), name="messages_conversation")),
    ops.AddConstraint("MessageRow", UniqueConstraint(fields=("branch_id", "depth"), name="messages_place")),
    ops.AddConstraint("MessageRow", UniqueConstraint(fields=("conversation_id", "number"), name="messages_number")),
    ops.AddConstraint(
        "MessageRow", CheckConstraint(check="(parent_id IS NULL) = (depth = 0)", name="messages_root")
    ),
]

KEYS = ops.RunSQL(
    """
    ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey, ADD PRIMARY KEY (owner_id, key),
      ADD CONSTRAINT idempotency_keys_owner FOREIGN KEY (owner_id) REFERENCES users (id);
    -- No foreign key to generations: it would cost each event a look-up, and who appends holds the run's row lock.
    ALTER TABLE generation_events DROP CONSTRAINT generation_events_pkey, ADD PRIMARY KEY (generation_id, seq);
    """,
    """
    ALTER TABLE generation_events DROP CONSTRAINT generation_events_pkey, ADD PRIMARY KEY (generation_id);
    ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_owner, DROP CONSTRAINT idempotency_keys_pkey,
      ADD PRIMARY KEY (owner_id);
    """,
)

# NULLS NOT DISTINCT: the roots of a conversation are siblings too.
SIBLINGS = ops.RunSQL(
    "CREATE UNIQUE INDEX messages_siblings ON messages (conversation_id, parent_id, sibling_index) NULLS NOT DISTINCT;",
    "DROP INDEX messages_siblings;",
)

# A parent, a branch, a reply and the active leaf are of the same conversation as what points at them.
# The latest run is stored after its reply, in the same transaction: that key waits for the commit.
REFERENCES = ops.RunSQL(
    """
    ALTER TABLE branches
      ADD CONSTRAINT branches_of_conversation FOREIGN KEY (conversation_id) REFERENCES conversations (id),
      ADD CONSTRAINT branches_parent FOREIGN KEY (conversation_id, parent_branch_id)
        REFERENCES branches (conversation_id, id);
    ALTER TABLE messages
      ADD CONSTRAINT messages_branch FOREIGN KEY (conversation_id, branch_id) REFERENCES branches (conversation_id, id),
      ADD CONSTRAINT messages_parent FOREIGN KEY (conversation_id, parent_id) REFERENCES messages (conversation_id, id);
    ALTER TABLE generations
      ADD CONSTRAINT generations_of_reply FOREIGN KEY (conversation_id, reply_id)
        REFERENCES messages (conversation_id, id);
    ALTER TABLE messages
      ADD CONSTRAINT messages_generation FOREIGN KEY (generation_id) REFERENCES generations (id)
        DEFERRABLE INITIALLY DEFERRED;
    ALTER TABLE conversations
      ADD CONSTRAINT conversations_active_leaf FOREIGN KEY (id, active_leaf_id)
        REFERENCES messages (conversation_id, id);
    """,
    """
    ALTER TABLE conversations DROP CONSTRAINT conversations_active_leaf;
    ALTER TABLE messages DROP CONSTRAINT messages_generation;
    ALTER TABLE generations DROP CONSTRAINT generations_of_reply;
    ALTER TABLE messages DROP CONSTRAINT messages_parent, DROP CONSTRAINT messages_branch;
    ALTER TABLE branches DROP CONSTRAINT branches_parent, DROP CONSTRAINT branches_of_conversation;
    """,
)

# Lists by title and by updated_at sort one owner's conversations, whose number is limited.
INDEXES = ops.RunSQL(
    """
    CREATE INDEX conversations_by_activity ON conversations (owner_id, (coalesce(last_message_at, created_at)), id)
      WHERE deleted_at IS NULL;
    CREATE INDEX conversations_by_age ON conversations (owner_id, created_at, id) WHERE deleted_at IS NULL;
    CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;
    CREATE INDEX messages_of_generation ON messages (generation_id) WHERE generation_id IS NOT NULL;
    CREATE INDEX generations_unfinished_in ON generations (conversation_id) WHERE ended_at IS NULL;
    CREATE INDEX generations_unfinished_of ON generations (owner_id, queued_at) WHERE ended_at IS NULL;
    CREATE INDEX generations_unfinished_at ON generations (node) WHERE ended_at IS NULL;
    """,
    """
    DROP INDEX generations_unfinished_at, generations_unfinished_of, generations_unfinished_in, messages_of_generation,
      conversations_deleted, conversations_by_age, conversations_by_activity;
    """,
)

PLACES = ops.RunSQL(
    """
    CREATE FUNCTION refuse_another_place() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'the place of a message never changes' USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER messages_stay BEFORE UPDATE OF conversation_id, branch_id, parent_id, depth, number, sibling_index
      ON messages FOR EACH ROW
      WHEN ((OLD.conversation_id, OLD.branch_id, OLD.parent_id, OLD.depth, OLD.number, OLD.sibling_index)
        IS DISTINCT FROM (NEW.conversation_id, NEW.branch_id, NEW.parent_id, NEW.depth, NEW.number, NEW.sibling_index))
      EXECUTE FUNCTION refuse_another_place();
    CREATE TRIGGER branches_stay BEFORE UPDATE OF conversation_id, parent_branch_id, fork_depth
      ON branches FOR EACH ROW
      WHEN ((OLD.conversation_id, OLD.parent_branch_id, OLD.fork_depth)
        IS DISTINCT FROM (NEW.conversation_id, NEW.parent_branch_id, NEW.fork_depth))
      EXECUTE FUNCTION refuse_another_place();
    """,
    """
    DROP TRIGGER branches_stay ON branches;
    DROP TRIGGER messages_stay ON messages;
    DROP FUNCTION refuse_another_place();
    """,
)

# Pages keep room for the next version of a row, so that updates touch no index.
ROOM = ops.RunSQL(
    """
    ALTER TABLE generations SET (fillfactor = 70);
    ALTER TABLE conversations SET (fillfactor = 80);
    ALTER TABLE branches SET (fillfactor = 80);
    ALTER TABLE messages SET (fillfactor = 85);
    """,
    """
    ALTER TABLE messages RESET (fillfactor);
    ALTER TABLE branches RESET (fillfactor);
    ALTER TABLE conversations RESET (fillfactor);
    ALTER TABLE generations RESET (fillfactor);
    """,
)


class Migration(migrations.Migration):
    dependencies = [("gus", "0001_initial")]

    operations = [*CONSTRAINTS, KEYS, SIBLINGS, REFERENCES, INDEXES, PLACES, ROOM]
