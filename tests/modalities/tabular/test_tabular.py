"""The modality of tables: rows that are split and standardized, and what a model that knows the truth is worth."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import Dataset
from artifex.generative_models.core.configuration import (
    BSDS300Config,
    CSVTableConfig,
    TabularDataConfig,
    UCITableConfig,
)
from artifex.generative_models.modalities import evaluate, load_data
from artifex.generative_models.modalities.tabular import TableRows, evaluate_rows

MEAN, FACTOR = np.array([1.0, -20.0, 300.0]), np.array([[2.0, 0, 0], [3.0, 4.0, 0], [0, 5.0, 1.0]])
ENTROPY = 1.5 * np.log(2 * np.pi * np.e) + np.linalg.slogdet(FACTOR)[1]


def rows(num, seed=0):
    """Normal rows, with known mean and covariance."""
    return MEAN + np.random.default_rng(seed).normal(size=(num, 3)) @ FACTOR.T


@dataclasses.dataclass
class Truth:
    """A model that is the distribution of the rows itself, but for a factor on its last column."""

    rows: TableRows
    factor: float = 1.0
    log_prob_kind: str = "exact"
    config: Any = None

    def generate(self, n_samples, *, key, condition=None, chunk_size=None):
        """Fresh rows."""
        noise = jax.random.normal(key, (n_samples, 3))
        made = jnp.asarray(MEAN)[None] + noise @ jnp.asarray(FACTOR).T
        return self.rows.encode(made.at[:, 2].multiply(self.factor))

    def log_prob(self, x, *, condition=None, key=None):
        """In the model's coordinates."""
        stored = np.asarray(self.rows.decode(x), np.float64)
        noise = np.linalg.solve(FACTOR, (stored - MEAN).T)
        density = -0.5 * (noise**2).sum(0) - 1.5 * np.log(2 * np.pi) - np.linalg.slogdet(FACTOR)[1]
        return density - np.asarray(self.rows.log_det(stored))

    def loss(self, x, condition=None, *, key, step=None):
        """Not used."""
        raise NotImplementedError


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file of such rows, with a column of words."""
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    lines = [f"{a!r},word,{b!r},{c!r}" for a, b, c in rows(2000).tolist()]
    path.write_text("\n".join(["a,name,b,c", *lines]))
    return str(path)


@pytest.fixture(scope="module")
def data(file):
    """The rows, read and split."""
    return load_data(TabularDataConfig(dataset=CSVTableConfig(file=file, columns=("a", "b", "c"))))


def test_splits(data):
    """All rows, each in one part; the training rows have mean 0 and standard deviation 1."""
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1620, 180, 200]
    found = np.concatenate([part.arrays["x"] for part in (data.train, data.validation, data.test)])
    wanted = rows(2000).astype(np.float32)
    np.testing.assert_array_equal(found[np.argsort(found[:, 0])], wanted[np.argsort(wanted[:, 0])])
    x = np.asarray(data.train.batch(range(1620), key=jax.random.key(0))["x"])
    np.testing.assert_allclose(x.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1.0, atol=1e-5)
    assert data.representation.columns == ("a", "b", "c")
    back = data.representation.decode(x[:5])
    np.testing.assert_allclose(back, data.train.arrays["x"][:5], rtol=1e-6, atol=1e-5)


def test_log_det(data):
    """By autodiff."""
    row = jnp.asarray(data.test.arrays["x"][0])
    jacobian = jax.jacobian(lambda row: data.representation._encode_one(row, key=None))(row)
    np.testing.assert_allclose(
        data.representation.log_det(row[None]), np.linalg.slogdet(jacobian)[1], rtol=1e-5
    )


def test_the_truth(data, key):
    """The entropy, no distance and the right correlations, within four standard errors."""
    found = evaluate(Truth(data.representation), data.test, key=key)
    assert list(found.estimates) == ["log_prob", "log_prob_stored", "energy_distance", "correlation_error"]
    stored = found.estimates["log_prob_stored"]
    assert abs(stored.value + ENTROPY) < 4 * stored.standard_error
    np.testing.assert_allclose(
        found["log_prob"] - found["log_prob_stored"], np.log(data.representation.scale).sum(), rtol=1e-5
    )
    distance = found.estimates["energy_distance"]
    assert abs(distance.value) < 4 * distance.standard_error
    assert found["correlation_error"] < 4 / np.sqrt(200)
    wrong = evaluate(Truth(data.representation, factor=-1.0), data.test, key=key)
    assert wrong["energy_distance"] > 10 * wrong.estimates["energy_distance"].standard_error
    assert wrong["correlation_error"] > 0.5


def test_noise_is_drawn_once(file):
    """It adds its variance to each column, the same in every load; without standardization rows stay as they are."""
    config = TabularDataConfig(
        dataset=CSVTableConfig(file=file, columns=("a", "b", "c")),
        standardize=False,
        noise=1.0,
        test_fraction=0.0,
    )
    first, again = load_data(config), load_data(config)
    plain = load_data(config.replace(noise=0.0))
    assert first.test is None
    np.testing.assert_array_equal(first.train.arrays["x"], again.train.arrays["x"])
    added = (first.train.arrays["x"] - plain.train.arrays["x"]) / plain.train.arrays["x"].std(axis=0)
    assert abs(added.std() - 1.0) < 4 / np.sqrt(2 * added.size)
    np.testing.assert_array_equal(
        plain.representation.encode(plain.train.arrays["x"]), plain.train.arrays["x"]
    )


def test_bad_tables(tmp_path, file):
    """What cannot be trained on is said, with the column."""
    path = tmp_path / "bad.csv"

    def load(values, **options):
        path.write_text("\n".join(["p,q", *(f"{p!r},{q!r}" for p, q in values)]))
        return load_data(
            TabularDataConfig(dataset=CSVTableConfig(file=str(path)), test_fraction=0.0, **options)
        )

    good = [(float(i), float(i % 7)) for i in range(30)]
    with pytest.raises(ValueError, match=r"\['q'\] are constant"):
        load([(p, 1.0) for p, _ in good])
    with pytest.raises(ValueError, match=r"\['p'\] vary too little"):
        load([(1e6 + 1e-3 * p, q) for p, q in good])
    with pytest.raises(ValueError, match=r"must be finite; training row .* has nan in column 'q'"):
        load([*good[:-1], (1.0, float("nan"))], validation_fraction=0.0)
    with pytest.raises(ValueError, match="must be smaller than the 1 examples"):
        load(good[:1], validation_fraction=0.5)
    other = tmp_path / "other.csv"
    other.write_text("p,r\n1,2\n")
    with pytest.raises(ValueError, match="`test_file` must have the columns"):
        load_data(TabularDataConfig(dataset=CSVTableConfig(file=str(path), test_file=str(other))))
    for wrong in (
        {"columns": ()},
        {"columns": ("a", "a")},
        {"columns": ("a",), "header": False},
        {"delimiter": ""},
    ):
        with pytest.raises(ValueError, match=r"columns|delimiter"):
            CSVTableConfig(file="rows.csv", **wrong)
    with pytest.raises(ValueError, match="`scale` must be positive"):
        TableRows(("a",), (0.0,), (0.0,))


def test_what_cannot_be_given(data, key):
    """It is left out with the reason, or an error where asked for."""
    one = Dataset({"x": np.arange(5.0)[:, None]}, TableRows(("a",), (0.0,), (1.0,)))

    class Sampler:
        generate = Truth(data.representation).generate

    found = evaluate_rows(Sampler(), one, key=key)
    assert not found.estimates
    assert set(found.unavailable) == {"log_prob", "log_prob_stored", "energy_distance", "correlation_error"}
    with pytest.raises(ValueError, match="needs 16 held-out rows; there are 5"):
        evaluate_rows(Sampler(), one, key=key, metrics=["energy_distance"])
    with pytest.raises(ValueError, match="`num_samples` must be at least 16"):
        evaluate_rows(Truth(data.representation), data.test, key=key, num_samples=3)


def test_files_of_the_repository(data_dir, monkeypatch):
    """Shapes of the known tables; the patches' rows have no mean."""
    monkeypatch.setenv("ARTIFEX_DATA_DIR", str(data_dir))
    parkinsons = load_data("uci_parkinsons")
    assert sum(len(part) for part in (parkinsons.train, parkinsons.validation, parkinsons.test)) == 5875
    assert len(parkinsons.representation.columns) == 21
    table = load_data(TabularDataConfig(dataset=UCITableConfig(name="kin40k"), test_fraction=0.2))
    assert (len(table.test), len(table.representation.columns)) == (8000, 9)
    patches = load_data(TabularDataConfig(dataset=BSDS300Config()))
    assert [len(part) for part in (patches.train, patches.validation, patches.test)] == [60000, 5000, 15000]
    assert patches.train.arrays["x"].shape[1] == 63
    assert abs(patches.train.arrays["x"].mean()) < 0.01
