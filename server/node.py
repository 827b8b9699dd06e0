"""Which node of the cluster this process is."""

from pathlib import Path
from uuid import UUID

from domain.world import NodeId, World


def kept_node_id(data_dir: Path, world: World) -> NodeId:
    """The same at each start. The caller holds the lock of `data_dir`: whatever ran under this id before is dead."""
    file = data_dir / "node"
    if not file.exists():
        file.write_text(str(world.new_id()))
    return NodeId(UUID(file.read_text().strip()))
