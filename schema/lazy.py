"""Types that name each other in a circle: a conversation has messages, which have generations, which have messages."""

from typing import TYPE_CHECKING, Annotated, TypeAlias

import strawberry

if TYPE_CHECKING:
    from schema.conversation import Conversation
    from schema.feedback import Feedback
    from schema.generation import Generation, GenerationEventPage, Notice
    from schema.message import Message
    from schema.model import Model
    from schema.plan import Plan
    from schema.quota import Quota
    from schema.usage import UsageReport, UsageTotals
    from schema.user import User

ConversationRef: TypeAlias = Annotated["Conversation", strawberry.lazy("schema.conversation")]
FeedbackRef: TypeAlias = Annotated["Feedback", strawberry.lazy("schema.feedback")]
MessageRef: TypeAlias = Annotated["Message", strawberry.lazy("schema.message")]
GenerationRef: TypeAlias = Annotated["Generation", strawberry.lazy("schema.generation")]
NoticeRef: TypeAlias = Annotated["Notice", strawberry.lazy("schema.generation")]
PlanRef: TypeAlias = Annotated["Plan", strawberry.lazy("schema.plan")]
UsageReportRef: TypeAlias = Annotated["UsageReport", strawberry.lazy("schema.usage")]
UsageTotalsRef: TypeAlias = Annotated["UsageTotals", strawberry.lazy("schema.usage")]
UserRef: TypeAlias = Annotated["User", strawberry.lazy("schema.user")]
QuotaRef: TypeAlias = Annotated["Quota", strawberry.lazy("schema.quota")]
ModelRef: TypeAlias = Annotated["Model", strawberry.lazy("schema.model")]
EventPageRef: TypeAlias = Annotated["GenerationEventPage", strawberry.lazy("schema.generation")]
