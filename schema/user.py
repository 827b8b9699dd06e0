"""The viewer, users and API keys."""

from datetime import datetime

import strawberry

from domain import user as domain
from domain.conversation import rules
from resolvers import conversation as resolve_conversation
from resolvers import instruction as resolve_instruction
from resolvers import plan as resolve_plan
from resolvers import quota as resolve_quota
from resolvers import usage as resolve_usage
from resolvers import user as resolve
from schema.lazy import ConversationRef, GenerationRef, UsageReportRef
from schema.model import Model
from schema.node import Connection, Node
from schema.of import of
from schema.plan import Plan
from schema.quota import Quota


@of(domain.User, name="User", description="A person or a program. `node` finds oneself only.")
class User(Node):
    display_name: str | None = strawberry.field(description="For people.")
    role: domain.Role = strawberry.field(description="What the user may do.")
    plan = strawberry.field(resolver=resolve_plan.plan_of_user, graphql_type=Plan, description="What the user has.")
    created_at: datetime = strawberry.field(description="When the account was made.")


@of(
    domain.ApiKey,
    name="ApiKey",
    description="A credential of the viewer's. The secret itself is shown once, at its making.",
)
class ApiKey(Node):
    name: str = strawberry.field(description="As given at its making.")
    prefix: str = strawberry.field(description="The beginning of the secret, to recognise it by.")
    created_at: datetime = strawberry.field(description="When it was made.")
    last_used_at: datetime | None = strawberry.field(description="To the minute; null: never.")
    expires_at: datetime | None = strawberry.field(description="Null: it does not expire.")


@of(
    rules.InputLimits,
    name="InputLimits",
    description="What an input may be at most. Lengths are UTF-16 code units, what JavaScript's `length` counts.",
)
class InputLimits:
    text_length: int = strawberry.field(description="A message's text; a body of more than 1 MiB is refused before.")
    title_length: int = strawberry.field(description="A conversation's title.")
    instruction_length: int = strawberry.field(description="The instruction of a viewer, a conversation or a send.")
    tags: int = strawberry.field(description="How many tags a conversation, or feedback, may have.")
    tag_length: int = strawberry.field(description="Each tag.")
    comment_length: int = strawberry.field(description="A comment on a reply.")
    stop_sequences: int = strawberry.field(description="How many stop sequences settings may have.")
    stop_length: int = strawberry.field(description="Each stop sequence.")
    idempotency_key_length: int = strawberry.field(description="An idempotency key.")
    schema_length: int = strawberry.field(description="A JSON schema, written as compact JSON.")


@of(
    domain.Viewer,
    name="Viewer",
    description="Who is asking. Its id is only for caches and refetches; the person is `user`.",
)
class Viewer(Node):
    user = strawberry.field(resolver=resolve.user_of_viewer, graphql_type=User, description="The person.")
    conversations = strawberry.field(
        resolver=resolve_conversation.conversations,
        graphql_type=Connection[ConversationRef],
        description="The viewer's own.",
    )
    active_generations = strawberry.field(
        resolver=resolve.active_generations,
        graphql_type=list[GenerationRef],
        description="Runs that have not ended, oldest first, at most 20: what a client picks up again after a reload.",
    )
    api_keys = strawberry.field(
        resolver=resolve.api_keys, graphql_type=list[ApiKey], description="Those that are not revoked; at most 50."
    )
    input_limits = strawberry.field(
        resolver=resolve.input_limits,
        graphql_type=InputLimits,
        description="For counters in a composer; the server refuses by the same numbers.",
    )
    quotas = strawberry.field(
        resolver=resolve_quota.of_viewer,
        graphql_type=list[Quota],
        description="The limits that bind the viewer, one per scope, metric and window; at most 50.",
    )
    usage = strawberry.field(
        resolver=resolve_usage.of_viewer,
        graphql_type=UsageReportRef,
        description="What the viewer has taken, titles and summaries too; days and months are of UTC.",
    )
    instruction = strawberry.field(
        resolver=resolve_instruction.of_viewer,
        graphql_type=str | None,
        description="What every reply to the viewer is told: what setInstruction wrote.",
    )
    default_model = strawberry.field(
        resolver=resolve.default_model,
        graphql_type=Model | None,
        description="What a send without `settings.model` uses in a conversation without one; null: none is allowed.",
    )


@of(domain.IssuedKey, name="CreateApiKeySuccess", description="The key was made. This answer alone holds its secret.")
class CreateApiKeySuccess:
    viewer = strawberry.field(resolver=resolve.viewer_now, graphql_type=Viewer, description="Refetch `apiKeys` here.")
    api_key = strawberry.field(resolver=resolve.issued, graphql_type=ApiKey, description="The new key.")
    secret: str = strawberry.field(
        description="To be sent as `Authorization: Bearer <secret>`. It cannot be shown again."
    )


@of(resolve.RevokedKey, name="RevokeApiKeySuccess", description="The key is no longer good for anything.")
class RevokeApiKeySuccess:
    viewer = strawberry.field(resolver=resolve.viewer_now, graphql_type=Viewer, description="Refetch `apiKeys` here.")
    revoked_api_key = strawberry.field(
        resolver=resolve.revoked_id, graphql_type=strawberry.ID, description="For removal from caches."
    )
