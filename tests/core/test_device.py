"""What there is to compute on, and clear words where it is not there."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from artifex.generative_models.core.configuration import MeshConfig
from artifex.generative_models.core.device import DeviceError, DeviceManager, DeviceWarning
from artifex.generative_models.scaling import make_mesh


def test_it_finds_what_jax_finds():
    manager = DeviceManager()
    assert manager.devices == tuple(jax.devices())
    assert manager.platform == jax.default_backend()
    assert "cpu" in manager.platforms
    assert 1 <= manager.num_cores <= os.cpu_count()


def test_host_memory_is_what_the_kernel_says():
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        pytest.skip("needs Linux's /proc")
    total = int(meminfo.read_text().split()[1]) * 1024
    assert DeviceManager().host_memory == pytest.approx(total, rel=0.01)


def test_cpu_can_be_asked_for():
    manager = DeviceManager("cpu")
    assert manager.num_devices == 8
    assert manager.device_memory is None  # shared with the host
    description = manager.describe()
    assert "devices    8 x cpu\n" in description
    assert "process    1 of 1" in description


def test_an_absent_platform_is_an_error_with_the_way_to_get_it():
    with pytest.raises(DeviceError, match=r"'tpu' is required; there is: .*cpu\. On a TPU machine.*JAX says"):
        DeviceManager("tpu")
    with pytest.raises(ValueError, match=r"unknown platform 'cpuu'. Did you mean 'cpu'"):
        DeviceManager("cpuu")


def test_an_absent_platform_can_fall_back_with_a_warning():
    with pytest.warns(DeviceWarning, match=r"'tpu' is required.*'\w+' is used instead"):
        manager = DeviceManager("tpu", if_missing="fallback")
    assert manager.devices == tuple(jax.devices())


@pytest.mark.parametrize(
    ("parameter_bytes", "fsdp"), [(0, 1), (100, 1), (125, 1), (126, 2), (251, 4), (600, 8), (10**6, 8)]
)
def test_recommended_mesh_splits_no_more_than_needed(monkeypatch, parameter_bytes, fsdp):
    # A device of 1000 bytes: parameters, gradients and two moments may take 500.
    monkeypatch.setattr(DeviceManager, "device_memory", property(lambda self: 1000))
    config = DeviceManager("cpu").recommended_mesh(parameter_bytes)
    assert config == MeshConfig(fsdp=fsdp)
    assert make_mesh(config, jax.devices("cpu")).size == 8


def test_recommended_mesh_without_known_memory_repeats_the_parameters():
    assert DeviceManager("cpu").recommended_mesh(10**15) == MeshConfig()


def test_import_does_not_touch_devices_and_a_bad_environment_is_named():
    code = """
import jax
from artifex.generative_models.core import device
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
try:
    device.DeviceManager()
except device.DeviceError as error:
    print(error)
"""
    environment = {**os.environ, "JAX_PLATFORMS": "nonsense"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "JAX can start no platform" in done.stdout
    assert "JAX_PLATFORMS=nonsense" in done.stdout
