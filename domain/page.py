"""Pages of long lists, by cursors that name a row and never an offset."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from domain.errors import BadPage

DEFAULT_SIZE = 20
LARGEST_SIZE = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class Edge(Generic[T]):
    cursor: str
    node: T


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    edges: tuple[Edge[T], ...]
    has_next_page: bool
    has_previous_page: bool

    @property
    def nodes(self) -> list[T]:
        return [edge.node for edge in self.edges]

    @property
    def page_info(self) -> PageInfo:
        first, last = (self.edges[0].cursor, self.edges[-1].cursor) if self.edges else (None, None)
        return PageInfo(self.has_next_page, self.has_previous_page, first, last)


@dataclass(frozen=True, slots=True)
class PageArgs:
    """`size` rows after `after` (or, backward, before `before`), both cursors already opened to the row's key.

    Either bound may be set in either direction; `size` says which end is kept.
    """

    size: int = DEFAULT_SIZE
    backward: bool = False
    after: str | None = None
    before: str | None = None


def page_args(
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    *,
    last_by_default: bool = False,
) -> PageArgs:
    """Raises BadPage."""
    if first is not None and last is not None:
        raise BadPage("Give `first` or `last`, not both.")
    size = first if first is not None else last
    backward = last is not None or (first is None and (last_by_default if after is None else False))
    if first is None and last is None and before is not None:
        backward = True
    if size is not None and not 1 <= size <= LARGEST_SIZE:
        raise BadPage(f"`first` and `last` go from 1 to {LARGEST_SIZE}.")
    return PageArgs(size or DEFAULT_SIZE, backward, open_cursor(after), open_cursor(before))


def page_of(rows: Sequence[T], args: PageArgs, cursor: Callable[[T], str]) -> Page[T]:
    """`rows` as a store reads them: up to size + 1, in list order also when backward; the surplus row only says that more exist."""
    more = len(rows) > args.size
    kept = (rows[-args.size :] if args.backward else rows[: args.size]) if more else rows
    edges = tuple(Edge(cursor_of(cursor(row)), row) for row in kept)
    if args.backward:
        return Page(edges, has_next_page=args.before is not None, has_previous_page=more)
    return Page(edges, has_next_page=more, has_previous_page=args.after is not None)


def cursor_of(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def open_cursor(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise BadPage("`after` and `before` take a cursor that this list has given.") from None
