"""What a model was given."""

import strawberry

from domain.message import Message
from domain.model import Model
from domain.page import Page, PageArgs, page_args
from domain.window.report import ContextReport
from domain.window.summary import ContextSummary
from resolvers.context import Info, there
from resolvers.paging import After, Before, First, Last


async def included(
    root: strawberry.Parent[ContextReport],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Message]:
    return await _of_path(root, info, page_args(first, after, last, before), root.from_depth, None)


async def excluded(
    root: strawberry.Parent[ContextReport],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Message]:
    return await _of_path(root, info, page_args(first, after, last, before), 0, root.from_depth - 1)


async def summary(root: strawberry.Parent[ContextReport], info: Info) -> ContextSummary | None:
    return await info.context.loaders.summary.load(root.summary_id) if root.summary_id else None


async def covers_through(root: strawberry.Parent[ContextSummary], info: Info) -> Message:
    return there(await info.context.loaders.message.load(root.covers_through))


def model_of_summary(root: strawberry.Parent[ContextSummary], info: Info) -> Model:
    return info.context.services.models.recorded(root.model_key)


async def _of_path(
    report: ContextReport, info: Info, page: PageArgs, highest: int, lowest: int | None
) -> Page[Message]:
    if report.leaf is None:
        return Page((), has_next_page=False, has_previous_page=False)
    leaf = there(await info.context.loaders.message.load(report.leaf))
    return await info.context.services.messages.path(info.context.viewer, leaf, page, highest=highest, lowest=lowest)
