"""Settings of the whole suite: eight simulated devices, strict promotion, a persistent compilation cache."""

import gc
import importlib.metadata
import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
if importlib.metadata.version("jaxlib").startswith("0.10."):
    # The suite mostly compiles, and with these it takes two thirds of the processor time, the contract table less.
    # For known versions only, because XLA ends the process at a flag that it does not know.
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ.setdefault("MPLBACKEND", "agg")

import jax
import pytest

ROOT = Path(__file__).parent.parent

jax.config.update("jax_compilation_cache_dir", str(ROOT / ".jax_cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module", autouse=True)
def _drop_programs():
    """Compiled programs hold memory maps, of which Linux grants a process 65,530; the whole suite's would be more."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > 20_000:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="module")
def cheap_compilation():
    """No optimisation of machine code, half of what compilation costs; the programs are the same."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def key():
    """A typed key, the same in every run."""
    return jax.random.key(0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real data; tests that need it skip where it is missing."""
    folder = Path(os.environ.get("ARTIFEX_DATA_DIR", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}: set ARTIFEX_DATA_DIR")
    return folder
