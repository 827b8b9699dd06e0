"""How a GraphQL type recognises its entity: resolvers return domain objects, and unions must tell them apart."""

from collections.abc import Callable

import strawberry


def of(entity: type, *, name: str, description: str) -> Callable[[type], type]:
    """A strawberry type whose objects are instances of `entity`; fields without a resolver are its attributes."""

    def declare(cls: type) -> type:
        cls.is_type_of = classmethod(lambda cls, root, _info: isinstance(root, (entity, cls)))  # type: ignore[attr-defined]  # Strawberry reads it
        cls.__entity__ = entity  # type: ignore[attr-defined]  # for the test that every attribute exists
        return strawberry.type(cls, name=name, description=description)

    return declare
