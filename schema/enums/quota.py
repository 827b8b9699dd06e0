"""Limits and what was used of them."""

from domain.ledger import UsageDimension
from domain.model import UsageSource
from domain.quota.counter import QuotaState
from domain.quota.limit import QuotaMetric, QuotaScope, QuotaWindow
from domain.usage import UsagePurpose
from schema.enums.describe import describe

describe(
    QuotaMetric,
    "What can be limited.",
    {
        "MESSAGES": "Replies that were asked for: sends, edits, regenerations and continuations.",
        "TOKENS": "Tokens of prompts and answers.",
        "COST": "USD, by the models' prices.",
        "CONCURRENT_GENERATIONS": "Replies that are being written, or wait for their turn.",
    },
)
describe(
    QuotaWindow,
    "Over which time, of UTC.",
    {
        "MINUTE": "From one full minute to the next.",
        "HOUR": "From one full hour to the next.",
        "DAY": "From midnight to midnight.",
        "MONTH": "From the first of a month to the next.",
        "INSTANT": "At any moment.",
    },
)
describe(
    QuotaScope,
    "Whom a limit was made for.",
    {
        "USER": "This user. Of a guest: each guest by himself, by what the plan says too.",
        "API_KEY": "The API key that is used.",
        "PLAN": "Every user of the plan, each for himself. Of a guest: all guests of one address together.",
    },
)
describe(
    QuotaState,
    "Whether a limit has been passed.",
    {
        "OK": "Neither.",
        "SOFT_EXCEEDED": "The soft limit: sends go through.",
        "HARD_EXCEEDED": "Nothing is left: sends are refused until something comes back.",
    },
)
describe(
    UsageDimension,
    "What usage can be grouped by.",
    {
        "HOUR": "Full hours of UTC.",
        "DAY": "Days of UTC.",
        "MONTH": "Months of UTC.",
        "MODEL": "The model that answered.",
        "CONVERSATION": "The conversation that it was taken in.",
        "PURPOSE": "A reply, a title or a summary.",
        "USER": "The user who asked; for admins.",
    },
)
describe(
    UsagePurpose,
    "What a model was asked for.",
    {"REPLY": "A reply.", "TITLE": "A conversation's title.", "SUMMARY": "A summary of what no longer fits a window."},
)
describe(
    UsageSource,
    "How tokens were counted.",
    {
        "PROVIDER": "As the model server reported; a reported 0 stays 0.",
        "ESTIMATED": "Counted by us: the model server reported nothing.",
        "PARTIAL": "Counted by us: the run was cut short.",
    },
)
