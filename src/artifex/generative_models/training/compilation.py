"""What XLA is told when it compiles a training program."""

import functools

import jax

_FUSIONS = "xla_cpu_experimental_ynn_fusion_type"
_ALL_BUT_CONVOLUTIONS = "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"


@functools.cache
def compiler_options(platform: str) -> dict[str, str]:
    """Options for `jax.jit`, of the outermost program alone: JAX refuses them inside of another.

    On CPUs XLA leaves convolutions, products and sums to YNNPACK (jax 0.10), which computes convolutions of fewer than
    some 90 channels on one core. Those of Eigen, used here, take all cores: a training step of a small UNet takes 0.87
    of the time on two. A compiler that does not know the option goes without it.

    Args:
        platform: of the devices, such as "cpu".
    """
    if platform != "cpu":
        return {}
    options = {_FUSIONS: _ALL_BUT_CONVOLUTIONS}
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if _FUSIONS not in str(error):
            raise
        return {}
    return options
