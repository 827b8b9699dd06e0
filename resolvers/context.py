"""What every resolver is given: who asks, the services, and loaders that live as long as one operation."""

from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import strawberry

from domain.access import Access
from domain.account import Accounts
from domain.catalogue import Catalogue
from domain.conversation.changes import Changes
from domain.conversation.continuing import Continuations
from domain.conversation.events import ConversationFollowers, ViewerFollowers
from domain.conversation.fork import Forks
from domain.conversation.preview import Previews
from domain.conversation.send import Sends
from domain.conversation.service import Conversations
from domain.errors import Gone, NotAuthenticated
from domain.feedback import Feedbacks
from domain.generation.service import Generations
from domain.generation.window import Windows
from domain.guest import Guests
from domain.instruction import Instructions
from domain.ledger import Ledger
from domain.message import Messages
from domain.model import Models
from domain.plan import Plans
from domain.quota.service import Quotas
from domain.throttle import Call
from domain.user import Users, Viewer
from resolvers.loaders import Loaders

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    users: Users
    accounts: Accounts
    guests: Guests
    models: Models
    catalogue: Catalogue
    plans: Plans
    access: Access
    conversations: Conversations
    changes: Changes
    forks: Forks
    sends: Sends
    previews: Previews
    continuations: Continuations
    conversation_followers: ConversationFollowers
    viewer_followers: ViewerFollowers
    messages: Messages
    generations: Generations
    feedback: Feedbacks
    instructions: Instructions
    windows: Windows
    quotas: Quotas
    ledger: Ledger


class Context:
    """One per operation, and per event of a subscription."""

    def __init__(self, services: Services, viewer: Viewer | None, call: Call) -> None:
        self.services, self.call = services, call
        self._viewer = viewer
        self._loaders: Loaders | None = None

    @property
    def visitor(self) -> Viewer | None:
        return self._viewer

    @property
    def viewer(self) -> Viewer:
        """Raises NotAuthenticated."""
        if self._viewer is None:
            raise NotAuthenticated("Send a credential: `Authorization: Bearer <key>`.")
        return self._viewer

    @property
    def loaders(self) -> Loaders:
        """Raises NotAuthenticated."""
        if self._loaders is None:
            # Most events of a subscription need none.
            self._loaders = Loaders(self.services, self.viewer)
        return self._loaders


def there(found: T | None) -> T:
    """What the schema promises beside an entity; it can only have gone if the conversation was deleted meanwhile."""
    if found is None:
        raise Gone
    return found


Info: TypeAlias = strawberry.Info[Context, None]
