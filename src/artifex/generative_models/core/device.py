"""What there is to compute on: platform, devices, memory, and the mesh to use."""

import math
import os
import warnings
from typing import Literal

import jax

from artifex.generative_models.core.configuration import MeshConfig
from artifex.utils.messages import unknown_name

Platform = Literal["cpu", "gpu", "tpu"]
_BEST_FIRST: tuple[Platform, ...] = ("tpu", "gpu", "cpu")
_GIB = 2**30
_STATE_FACTOR = 4  # bytes of parameters, gradients and Adam's two moments, for one of parameters


class DeviceError(RuntimeError):
    """The platform that is asked for is not there; the message says what is and how to get the other."""


class DeviceWarning(UserWarning):
    """The platform that is asked for is not there and another one is used."""


class DeviceManager:
    """The devices that this process sees. Making one looks at the hardware; importing this module does not.

    Attributes:
        platform: `"cpu"`, `"gpu"` or `"tpu"`.
        devices: all devices of that platform, those of other processes included.
    """

    def __init__(
        self, platform: str | None = None, *, if_missing: Literal["error", "fallback"] = "error"
    ) -> None:
        """Find the devices.

        Args:
            platform: the platform wanted; None: the best there is.
            if_missing: what to do where it is not there: raise, or warn and take the best there is.

        Raises:
            DeviceError: the platform is not there, or JAX cannot start any.
            ValueError: there is no platform of this name.

        Warns:
            DeviceWarning: the platform is not there and `if_missing` is `"fallback"`.
        """
        if platform is not None and platform not in _BEST_FIRST:
            raise ValueError(unknown_name("platform", platform, _BEST_FIRST))
        self._found, refusals = _find_devices()
        if not self._found:
            raise DeviceError(f"JAX can start no platform: {refusals['cpu']}{_environment_hint()}")
        best = next(iter(self._found))
        if platform is not None and platform not in self._found:
            message = (
                f"platform {platform!r} is required; there is: {', '.join(self._found)}. {_advice(platform)}"
                f"{_environment_hint()} JAX says: {refusals[platform]}"
            )
            if if_missing == "error":
                raise DeviceError(message)
            warnings.warn(f"{message} {best!r} is used instead.", DeviceWarning, stacklevel=2)
        self.platform: str = platform if platform in self._found else best
        # To pyright `jax.Device` is a variable, since its stubs do not say what it is.
        self.devices: tuple[jax.Device, ...] = self._found[self.platform]  # pyright: ignore[reportInvalidTypeForm]

    @property
    def platforms(self) -> tuple[str, ...]:
        """Platforms that are there, the best first."""
        return tuple(self._found)

    @property
    def num_devices(self) -> int:
        """Number of devices, over all processes."""
        return len(self.devices)

    @property
    def kind(self) -> str:
        """What the maker calls the devices, for example `"NVIDIA H200"`."""
        return ", ".join(sorted({device.device_kind for device in self.devices}))

    @property
    def device_memory(self) -> int | None:
        """Bytes that JAX may use on the smallest device of this process; None where the platform does not say.

        CPU devices share the memory of the host.
        """
        local = [device for device in self.devices if device.process_index == jax.process_index()]
        limits = [(device.memory_stats() or {}).get("bytes_limit") for device in local]
        known = [limit for limit in limits if limit]
        return min(known) if known else None

    @property
    def host_memory(self) -> int | None:
        """Bytes of memory of this machine; None where the system does not say."""
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):  # not a Unix
            return None

    @property
    def num_cores(self) -> int:
        """Processor cores that this process may use."""
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    def recommended_mesh(self, parameter_bytes: int = 0) -> MeshConfig:
        """The mesh to use: all devices along `data`, unless the training state needs to be split.

        Args:
            parameter_bytes: size of the model's parameters. Training with Adam needs about four times as much, and
                half of a device is left for activations.

        Returns:
            A config whose `fsdp` is the smallest divisor of the number of devices at which the state fits (all of
            them, where it never does).
        """
        memory = self.device_memory
        if memory is None:
            return MeshConfig()
        needed = math.ceil(_STATE_FACTOR * parameter_bytes / (memory / 2))
        divisors = [size for size in range(1, self.num_devices + 1) if self.num_devices % size == 0]
        return MeshConfig(fsdp=next((size for size in divisors if size >= needed), self.num_devices))

    def describe(self) -> str:
        """A few lines for people: platform, devices, memory, processes."""
        memory, host = self.device_memory, self.host_memory
        each = f", {memory / _GIB:.1f} GiB each" if memory else ""
        total = f", {host / _GIB:.1f} GiB memory" if host else ""
        return "\n".join(
            (
                f"platform   {self.platform} (available: {', '.join(self.platforms)})",
                f"devices    {self.num_devices} x {self.kind}{each}",
                f"host       {self.num_cores} cores{total}",
                f"process    {jax.process_index() + 1} of {jax.process_count()}",
            )
        )


def _find_devices() -> tuple[dict[str, tuple[jax.Device, ...]], dict[str, str]]:  # pyright: ignore[reportInvalidTypeForm]
    """Devices of each platform that is there, and what JAX says of the others."""
    found: dict[str, tuple[jax.Device, ...]] = {}  # pyright: ignore[reportInvalidTypeForm]
    refusals: dict[str, str] = {}
    for platform in _BEST_FIRST:
        try:
            found[platform] = tuple(jax.devices(platform))
        except RuntimeError as error:
            refusals[platform] = str(error)
    return found, refusals


def _advice(platform: str) -> str:
    if platform == "gpu":
        return "With an NVIDIA GPU: see that `nvidia-smi` lists it, then pip install 'artifex[cuda13]'."
    if platform == "tpu":
        return "On a TPU machine: pip install 'jax[tpu]'."
    return "JAX always has it, unless the environment excludes it."


def _environment_hint() -> str:
    chosen = os.environ.get("JAX_PLATFORMS")
    return f" The environment has JAX_PLATFORMS={chosen}, which excludes all others." if chosen else ""
