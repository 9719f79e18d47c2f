"""Many devices and machines: the mesh, how arrays are split over it, start-up of several processes."""

from artifex.generative_models.scaling.distributed import initialize_distributed
from artifex.generative_models.scaling.mesh import make_mesh
from artifex.generative_models.scaling.sharding import (
    batch_sharding,
    check_batch_size,
    check_rules,
    place,
    replicated,
    tree_shardings,
)
