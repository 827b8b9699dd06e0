"""Which node of the cluster this process is."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from domain.world import NodeId, World


@dataclass(frozen=True, slots=True)
class Worker:
    """`host`: what its siblings share, the embedded model for one.

    A worker that takes the place of a dead one takes its number too, and so its runs at once: their node is dead for certain.
    """

    host: UUID
    number: int = 0

    @property
    def node_id(self) -> NodeId:
        return NodeId(uuid5(self.host, str(self.number)))


def kept_host(data_dir: Path, world: World) -> UUID:
    """The same at each start. The caller holds the lock of `data_dir`: whatever ran under this name before is dead."""
    file = data_dir / "host"
    if not file.exists():
        file.write_text(str(world.new_id()))
    return UUID(file.read_text().strip())
