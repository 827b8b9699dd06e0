"""Ids of nothing."""

from uuid import UUID

from resolvers.node import encode

_NOTHING = UUID("01890000-0000-7000-8000-000000000000")

UNKNOWN = {
    kind: encode(kind, _NOTHING)
    for kind in ("Viewer", "User", "ApiKey", "Conversation", "Message", "Generation", "Instruction", "ContextSummary")
}
UNKNOWN |= {kind: encode(kind, "none") for kind in ("Model", "Plan")}
UNKNOWN["Quota"] = encode("Quota", f"PLAN.MESSAGES.DAY.{_NOTHING}")

MALFORMED = (
    "",
    "x",
    "no-id",
    "Ω",
    "\ud800",
    "1",
    str(_NOTHING),
    encode("Conversation", "no-uuid"),
    encode("Message", "no-uuid"),
    encode("Nothing", _NOTHING),
    encode("conversation", _NOTHING),
    UNKNOWN["Conversation"][:-4],
    UNKNOWN["Conversation"] + "\n",
)
