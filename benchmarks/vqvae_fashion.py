"""The VQ-VAE preset on Fashion-MNIST beside a linear code of as many bits.

    python -m benchmarks.vqvae_fashion [--preset vqvae_fashion] [--run-dir DIR]

The linear code is a transform code as strong as one gets it: principal components of the training images, bits given
one by one to the component with the largest remaining error (each bit quarters it), and for each component the
Lloyd-Max quantizer of its training values. Beside it stands the naive one, components kept as float32 numbers.
"""

import argparse
import importlib.metadata
import math
import sys

import jax
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

import artifex as ax
from benchmarks.harness import machine, write_result

LLOYD_EXAMPLES = 10_000


def allocate_bits(variances: np.ndarray, num_bits: int) -> np.ndarray:
    """Bits of each component, `(num_components,)`: greedy, which is optimal where a bit quarters the error."""
    error = variances.copy()
    bits = np.zeros(len(variances), np.int64)
    for _ in range(num_bits):
        worst = int(np.argmax(error))
        bits[worst] += 1
        error[worst] /= 4
    return bits


def transform_code(train: np.ndarray, test: np.ndarray, num_bits: int) -> np.ndarray:
    """Reconstructions of `test`, `(n, pixels)`, from `num_bits` bits each."""
    pca = PCA(random_state=0).fit(train)
    bits = allocate_bits(pca.explained_variance_, num_bits)
    used = np.flatnonzero(bits)
    rows = np.random.default_rng(0).choice(len(train), min(LLOYD_EXAMPLES, len(train)), replace=False)
    of_train, of_test = pca.transform(train[rows])[:, used], pca.transform(test)[:, used]
    quantized = np.zeros((len(test), pca.n_components_))
    for column, component in enumerate(used):
        quantizer = KMeans(2 ** int(bits[component]), n_init=1, random_state=0)
        quantizer.fit(of_train[:, column, None])
        codes = quantizer.predict(np.ascontiguousarray(of_test[:, column, None]))
        quantized[:, component] = quantizer.cluster_centers_[codes, 0]
    return pca.inverse_transform(quantized)


def float_code(train: np.ndarray, test: np.ndarray, num_bits: int) -> np.ndarray:
    """Reconstructions of `test` from as many float32 components as fit into `num_bits` bits."""
    pca = PCA(max(num_bits // 32, 1), random_state=0).fit(train)
    return pca.inverse_transform(pca.transform(test).astype(np.float32))


def main(arguments: list[str] | None = None) -> int:
    """Train, evaluate, write `benchmarks/results/<preset>.json`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.vqvae_fashion", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--preset", default="vqvae_fashion")
    parser.add_argument("--run-dir", help="also write, or go on with, a run folder")
    options = parser.parse_args(arguments)
    conditions = machine()
    run = ax.zoo.run_experiment(
        ax.zoo.get(options.preset), options.run_dir, resume=options.run_dir is not None
    )
    evaluation = run.evaluation.to_mapping()

    train, test = (
        split.arrays["x"].reshape(len(split), -1) / 255.0 for split in (run.data.train, run.data.test)
    )
    codes = run.model.encode(run.data.test.batch(np.arange(1), key=jax.random.key(0))["x"])
    num_bits = round(codes.size * math.log2(run.model.num_codes))
    mse = {
        name: float(np.mean((np.clip(code(train, test, num_bits), 0, 1) - test) ** 2))
        for name, code in (("pca_quantized", transform_code), ("pca_float32", float_code))
    }
    result = {
        "machine": conditions,
        "versions": {name: importlib.metadata.version(name) for name in ("artifex", "jax", "scikit-learn")},
        "preset": options.preset,
        "training_seconds": round(run.fit.records[-1]["time"], 1),
        "bits_per_image": num_bits,
        "num_codes": run.model.num_codes,
        "evaluation": evaluation,
        "mse_at_equal_bits": mse,
    }
    write_result(options.preset, result)
    for name in ("evaluation", "mse_at_equal_bits"):
        print(name, result[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
