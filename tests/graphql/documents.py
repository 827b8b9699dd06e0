"""The operations that the tests send, each with everything that it can answer."""

FIELDS = {
    "InvalidInput": "problems { rule path message limit }",
    "NotFound": "path",
    "NotAllowed": "requiredRole requiredPlan { key }",
    "LimitReached": "resource active limit",
    "QuotaExceeded": "quota { id scope metric window softLimit hardLimit used reserved remaining state resetsAt }",
    "TooManyGenerations": "generations { id } active limit",
    "ConversationBusy": "activeGeneration { id reply { id } }",
    "ConversationClosed": "state",
    "IllegalTransition": "from to",
    "StaleVersion": "conversation { id version title }",
    "StaleBranch": "currentLeaf { id }",
    "NotContinuable": "currentReply { id text status }",
    "KeyReused": "idempotencyKey",
    "ContextTooLarge": "requiredTokens limitTokens",
    "ModelUnavailable": "model { key retired } alternatives { key }",
    "Banned": "until",
}

_UNABLE = ("ModelUnavailable", "Banned")


def _refusals(*types: str) -> str:
    """A type that a union cannot hold must not be named."""
    fragments = [f"... on {name} {{ {FIELDS[name]} }}" for name in types]
    return "\n    ".join(["__typename", "... on Refusal { code message retryable retryAfter }", *fragments])


_ANSWERED = (
    "InvalidInput",
    "NotFound",
    "NotAllowed",
    "QuotaExceeded",
    "TooManyGenerations",
    "ConversationBusy",
    "ConversationClosed",
    "KeyReused",
    "ContextTooLarge",
)
STARTED = """
... on SendMessageSuccess {
      replayed
      notices { code }
      conversation { id title tags pinned messageCount rootCount settings { temperature } activeLeaf { id } }
      userMessage { id text role status depth siblingIndex parent { id } sentAt receivedAt idempotencyKey }
      reply { id text role status depth siblingIndex parent { id } }
      generation {
        id trigger status lastSeq textOffset queuePosition
        model { key } settings { model { key } temperature topP maxOutputTokens seed stop }
      }
    }"""

SEND = f"""
mutation Send($input: SendMessageInput!) {{
  sendMessage(input: $input) {{
    {_refusals(*_ANSWERED, "LimitReached", "StaleBranch", *_UNABLE)}
    {STARTED}
  }}
}}
"""

EDIT = f"""
mutation Edit($input: EditMessageInput!) {{
  editMessage(input: $input) {{
    {_refusals(*_ANSWERED, *_UNABLE)}
    {STARTED}
  }}
}}
"""

REGENERATE = f"""
mutation Regenerate($input: RegenerateReplyInput!) {{
  regenerateReply(input: $input) {{
    {_refusals(*_ANSWERED, *_UNABLE)}
    {STARTED}
  }}
}}
"""

CONTINUE = f"""
mutation Continue($input: ContinueReplyInput!) {{
  continueReply(input: $input) {{
    {_refusals(*_ANSWERED, "NotContinuable", *_UNABLE)}
    {STARTED}
  }}
}}
"""

CREATE = f"""
mutation Create($input: CreateConversationInput!) {{
  createConversation(input: $input) {{
    {_refusals("InvalidInput", "NotFound", "LimitReached", "KeyReused", "Banned")}
    ... on CreateConversationSuccess {{
      replayed
      conversation {{ id title titleSource state version pinned tags messageCount settings {{ temperature stop }} }}
    }}
  }}
}}
"""

_CHANGED = """
      conversation {
        id title titleSource state version pinned tags hasUnread activeLeaf { id } updatedAt lastMessageAt
        settings { model { key } temperature topP maxOutputTokens seed stop }
        contextPolicy { strategy maxInputTokens reserveOutputTokens }
      }"""

UPDATE = f"""
mutation Update($input: UpdateConversationInput!) {{
  updateConversation(input: $input) {{
    {_refusals("InvalidInput", "NotFound", "ConversationClosed", "StaleVersion", "Banned")}
    ... on UpdateConversationSuccess {{ {_CHANGED} }}
  }}
}}
"""

SET_STATE = f"""
mutation SetState($conversation: ID!, $state: RequestedState!) {{
  setConversationState(conversation: $conversation, state: $state) {{
    {_refusals("NotFound", "IllegalTransition", "Banned")}
    ... on SetConversationStateSuccess {{ {_CHANGED} }}
  }}
}}
"""

SELECT = f"""
mutation Select($message: ID!) {{
  selectBranch(message: $message) {{
    {_refusals("NotFound", "ConversationClosed")}
    ... on SelectBranchSuccess {{ {_CHANGED} }}
  }}
}}
"""

MARK_READ = f"""
mutation MarkRead($conversation: ID!) {{
  markConversationRead(conversation: $conversation) {{
    {_refusals("NotFound")}
    ... on MarkConversationReadSuccess {{ {_CHANGED} }}
  }}
}}
"""

FORK = f"""
mutation Fork($input: ForkConversationInput!) {{
  forkConversation(input: $input) {{
    {_refusals("InvalidInput", "NotFound", "LimitReached", "KeyReused", "Banned")}
    ... on ForkConversationSuccess {{
      replayed
      conversation {{
        id title titleSource state version pinned tags hasUnread messageCount rootCount eventSeq lastMessageAt
        settings {{ temperature }} contextPolicy {{ strategy }} activeLeaf {{ id text }} forkedFrom {{ id }}
        path {{ nodes {{ id role text status idempotencyKey receivedAt generation {{ id }} feedback {{ rating }} model {{ key }} }} }}
      }}
    }}
  }}
}}
"""

RATE = f"""
mutation Rate($message: ID!, $rating: Rating, $tags: [String!], $comment: String) {{
  rateMessage(message: $message, rating: $rating, tags: $tags, comment: $comment) {{
    {_refusals("InvalidInput", "NotFound", "Banned")}
    ... on RateMessageSuccess {{ ratedMessage {{ id feedback {{ rating tags comment updatedAt }} }} }}
  }}
}}
"""

DELETE = f"""
mutation Delete($conversation: ID!) {{
  deleteConversation(conversation: $conversation) {{
    {_refusals("NotFound")}
    ... on DeleteConversationSuccess {{ deletedConversation }}
  }}
}}
"""

STOP = f"""
mutation Stop($generation: ID!, $seenSeq: Int) {{
  stopGeneration(generation: $generation, seenSeq: $seenSeq) {{
    {_refusals("NotFound")}
    ... on StopGenerationSuccess {{ alreadyEnded generation {{ id status }} }}
  }}
}}
"""

CREATE_KEY = f"""
mutation CreateKey($input: CreateApiKeyInput!) {{
  createApiKey(input: $input) {{
    {_refusals("InvalidInput", "NotAllowed", "LimitReached", "Banned")}
    ... on CreateApiKeySuccess {{ secret apiKey {{ id name prefix expiresAt }} viewer {{ apiKeys {{ id }} }} }}
  }}
}}
"""

REVOKE_KEY = f"""
mutation RevokeKey($apiKey: ID!) {{
  revokeApiKey(apiKey: $apiKey) {{
    {_refusals("NotFound", "NotAllowed")}
    ... on RevokeApiKeySuccess {{ revokedApiKey viewer {{ apiKeys {{ id }} }} }}
  }}
}}
"""

SET_INSTRUCTION = f"""
mutation SetInstruction($text: String) {{
  setInstruction(text: $text) {{
    {_refusals("InvalidInput", "Banned")}
    ... on SetInstructionSuccess {{ viewer {{ id instruction }} }}
  }}
}}
"""

PUBLISH = f"""
mutation Publish($input: PublishInstructionInput!) {{
  publishInstruction(input: $input) {{
    {_refusals("InvalidInput", "NotAllowed")}
    ... on PublishInstructionSuccess {{
      instruction {{ id scope key version text sha256 publishedBy {{ displayName }} }}
    }}
  }}
}}
"""

EVENT = """
fragment Event on GenerationEvent {
  __typename
  seq
  ... on GenerationQueued { position }
  ... on GenerationStarted { attempt model { key } }
  ... on NoticeRaised { notice { code } }
  ... on GenerationSnapshot { reply { text status } }
  ... on TextDelta { text offset textSoFar }
  ... on ReasoningDelta { text offset }
  ... on TextTruncated { length reason }
  ... on GenerationFinished {
    status
    finishReason
    reply { text }
    usage { inputTokens outputTokens source }
    cost
    error { code message retryable }
  }
}
"""

FOLLOW = f"""
subscription Follow($generation: ID!, $after: Int! = 0, $snapshot: Boolean! = false) {{
  generationEvents(generation: $generation, after: $after, snapshot: $snapshot) {{ ...Event }}
}}
{EVENT}
"""

EVENTS = f"""
query Events($generation: ID!, $after: Int! = 0, $first: Int! = 100) {{
  generation(id: $generation) {{
    events(after: $after, first: $first) {{ events {{ ...Event }} nextAfter terminal }}
  }}
}}
{EVENT}
"""

CONVERSATION_EVENTS = """
subscription Watch($conversation: ID!, $after: Int) {
  conversationEvents(conversation: $conversation, after: $after) {
    __typename
    seq
    conversation { eventSeq messageCount }
    ... on MessageAdded { addedMessage { id role text } }
    ... on MessageChanged { changedMessage { id } }
    ... on BranchSelected { activeLeaf { id } }
    ... on ReplyStarted { reply { id } generation { id } }
    ... on ReplyFinished { reply { id status } generation { id status } }
  }
}
"""

VIEWER_EVENTS = """
subscription {
  viewerEvents {
    __typename
    ... on ViewerSnapshot { viewer { user { displayName } } }
    ... on ConversationTouched { conversation { id messageCount activeLeaf { status } } }
    ... on ConversationRemoved { removedConversation }
  }
}
"""

SET_ROLE = f"""
mutation SetRole($user: ID!, $role: Role!) {{
  setUserRole(user: $user, role: $role) {{
    {_refusals("InvalidInput", "NotFound", "NotAllowed")}
    ... on SetUserRoleSuccess {{ user {{ id role plan {{ key }} }} }}
  }}
}}
"""

SET_PLAN = f"""
mutation SetPlan($user: ID!, $plan: String!) {{
  setUserPlan(user: $user, plan: $plan) {{
    {_refusals("InvalidInput", "NotFound", "NotAllowed")}
    ... on SetUserPlanSuccess {{ user {{ id role plan {{ key }} }} }}
  }}
}}
"""

UPSERT_MODEL = f"""
mutation UpsertModel($input: UpsertModelInput!) {{
  upsertModel(input: $input) {{
    {_refusals("InvalidInput", "NotAllowed")}
    ... on UpsertModelSuccess {{
      created
      model {{
        key provider displayName contextWindow maxOutputTokens capabilities inputPricePerMillion outputPricePerMillion
        fallbacks {{ key }} retired
      }}
    }}
  }}
}}
"""
