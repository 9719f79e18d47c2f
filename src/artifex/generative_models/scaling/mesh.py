"""The mesh: all devices as a grid with the axes data, fsdp and tensor."""

from collections.abc import Sequence

import jax
from jax.sharding import AxisType, Mesh

from artifex.generative_models.core.configuration import MeshConfig
from artifex.generative_models.core.configuration.scaling import MESH_AXES


def make_mesh(
    config: MeshConfig | None = None,
    devices: Sequence[jax.Device] | None = None,  # pyright: ignore[reportInvalidTypeForm]  # see core/device.py
) -> Mesh:
    """The mesh that a config describes.

    Args:
        config: sizes of the axes; None: all devices along `data`.
        devices: the devices to use; None: all of the default platform. Where `data` is given and the mesh is
            smaller than that, the first devices are used (in a run of one process).

    Returns:
        A mesh with the axes `"data"`, `"fsdp"`, `"tensor"`. They are of the type Auto: the compiler
        propagates shardings from the inputs.

    Raises:
        ValueError: the sizes do not fit the number of devices.
    """
    config = MeshConfig() if config is None else config
    devices = jax.devices() if devices is None else list(devices)
    sizes = _axis_sizes(config, len(devices), one_process=jax.process_count() == 1)
    used = devices[: sizes[0] * sizes[1] * sizes[2]]
    return jax.make_mesh(sizes, MESH_AXES, axis_types=(AxisType.Auto,) * 3, devices=used)


def _axis_sizes(config: MeshConfig, num_devices: int, *, one_process: bool) -> tuple[int, int, int]:
    needed = config.min_devices
    got = f"{num_devices} device{'' if num_devices == 1 else 's'}"
    if config.data is None:
        if num_devices % needed or num_devices == 0:
            raise ValueError(
                f"the mesh needs a multiple of fsdp * tensor = {config.fsdp} * {config.tensor} = {needed} "
                f"devices; got {got}. Make `fsdp` and `tensor` smaller, or set `data` to "
                "use only some of the devices."
            )
        return num_devices // needed, config.fsdp, config.tensor
    product = f"data * fsdp * tensor = {config.data} * {config.fsdp} * {config.tensor} = {needed}"
    if needed > num_devices:
        raise ValueError(
            f"the mesh needs {product} devices; got {got}. Make one of the axes smaller, or start with more "
            "devices (on a CPU: XLA_FLAGS=--xla_force_host_platform_device_count=N)."
        )
    if needed < num_devices and not one_process:
        raise ValueError(
            f"the mesh of a run with several processes holds all devices; got {product} for {got}. "
            "Leave `data` out, so that it takes what remains."
        )
    return config.data, config.fsdp, config.tensor
