"""What a model was given."""

import strawberry

from domain.message import Message
from domain.page import Page, page_args
from domain.window.report import ContextReport
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
    page = page_args(first, after, last, before)
    if root.leaf is None:
        return Page((), has_next_page=False, has_previous_page=False)
    leaf = there(await info.context.loaders.message.load(root.leaf))
    return await info.context.services.messages.path(info.context.viewer, leaf, page, top=root.from_depth)
