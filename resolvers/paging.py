"""The arguments that every connection takes."""

from typing import Annotated, TypeAlias

import strawberry

First: TypeAlias = Annotated[int | None, strawberry.argument(description="The first so many, 1 to 100; default 20.")]
After: TypeAlias = Annotated[str | None, strawberry.argument(description="A cursor of this list: what comes after it.")]
Last: TypeAlias = Annotated[int | None, strawberry.argument(description="The last so many, 1 to 100.")]
Before: TypeAlias = Annotated[
    str | None, strawberry.argument(description="A cursor of this list: what comes before it.")
]
