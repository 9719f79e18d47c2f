"""What the backward pass computes again instead of keeping it (rematerialisation).

Source: Chen et al. 2016, arXiv:1604.06174.
"""

from collections.abc import Callable
from typing import Any

import jax

from artifex.generative_models.core.configuration import Remat

_CONVOLUTIONS = ("conv_general_dilated", "nhwc_convolution")


def rematerialized(
    function: Callable[..., Any], remat: Remat, *, is_scanned: bool = False
) -> Callable[..., Any]:
    """The same function, of which the backward pass keeps less.

    Args:
        function: of arrays, to arrays.
        remat: "none" keeps all that is needed; "full" the arguments alone; "dots" besides them what layers of weights
            put out, matrix products without batch axes and convolutions, and so not the scores of attention.
        is_scanned: whether it is the body of a scan, where nothing else stops the compiler from computing twice.
    """
    if remat == "none":
        return function
    policy = _is_product if remat == "dots" else None
    # The wrapper has an identity by which JAX can find its trace again, which a module of arrays lacks.
    return jax.checkpoint(lambda *inputs: function(*inputs), policy=policy, prevent_cse=not is_scanned)


def _is_product(primitive: Any, *_: Any, **parameters: Any) -> bool:
    if primitive.name == "dot_general":
        _, batch_axes = parameters["dimension_numbers"]
        return not any(batch_axes)
    return primitive.name in _CONVOLUTIONS
