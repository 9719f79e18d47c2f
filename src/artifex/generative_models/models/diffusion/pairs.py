"""Batches in which each example comes with the noise that belongs to it."""

from jaxtyping import Array, Float


def data_and_noise(
    x: Array | dict[str, Array],
) -> tuple[Float[Array, "batch ..."], Float[Array, "batch ..."] | None]:
    """Examples of a batch, and the noise that belongs to them, where that is given.

    Args:
        x: examples, or a mapping of `data` and `noise` such as `reflow_pairs` makes.

    Raises:
        ValueError: a mapping of something else, or of arrays of different shapes.
    """
    if not isinstance(x, dict):
        return x, None
    if set(x) != {"data", "noise"} or x["data"].shape != x["noise"].shape:
        shapes = {name: leaf.shape for name, leaf in x.items()}
        raise ValueError(f"pairs must be `data` and `noise` of the same shape; got {shapes}")
    return x["data"], x["noise"]
