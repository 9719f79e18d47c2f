"""Configs: frozen, hashable, validated, the same after a round trip, and errors that say where and what."""

import copy
import dataclasses
import importlib
import json
import pickle
import pkgutil
import subprocess
import sys

import jsonschema
import pytest

from artifex.generative_models.core import configuration
from artifex.generative_models.core.configuration import (
    Config,
    ConfigError,
    ConstantScheduleConfig,
    CyclicalScheduleConfig,
    ModelConfig,
    NormalConfig,
    PiecewiseScheduleConfig,
    ScheduleConfig,
    config,
    config_kinds,
    from_json,
    from_mapping,
    from_yaml,
    json_schema,
    load_yaml,
    to_json,
    to_mapping,
    to_yaml,
)
from artifex.generative_models.core.configuration.fields import PositiveInt, Sizes


@config("test_configuration_layer")
class LayerConfig(Config):
    """One layer.

    Attributes:
        width: its width.
    """

    width: PositiveInt = 3


@config("test_configuration_tree")
class TreeConfig(ModelConfig):
    """A config with every way to hold another one.

    Attributes:
        layers: several.
        extra: one or none.
        schedule: one of a family.
    """

    layers: tuple[LayerConfig, ...] = (LayerConfig(),)
    extra: LayerConfig | None = None
    schedule: ScheduleConfig = ConstantScheduleConfig(value=1.0)
    sizes: Sizes = (4, 2)
    name: str = "on"


def _library_configs():
    """Every concrete config of the library."""
    package = configuration
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    families = {}
    for cls in Config.__subclasses__():
        families.update(dict.fromkeys(config_kinds(cls).values()))
    return sorted(
        (cls for cls in families if cls.__module__.startswith(package.__name__)), key=lambda cls: cls.__name__
    )


CONFIGS = _library_configs()


# Values of the fields that have no default, where they are not texts.
REQUIRED = {
    "data": configuration.ImageDataConfig(),
    "dataset_size": 100,
    "model": TreeConfig(),
    "spec": (None, "data"),
}


def _instance(cls):
    """The config with its defaults."""
    required = [
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    return cls(**{name: REQUIRED.get(name, "text") for name in required})


def test_all_configs_are_found():
    assert {"ConstantScheduleConfig", "TrainingConfig", "VAEConfig"} <= {cls.__name__ for cls in CONFIGS}


@pytest.mark.parametrize("cls", CONFIGS, ids=lambda cls: cls.__name__)
def test_every_config(cls):
    """Round trips, hash, immutability, schema and documentation."""
    one = _instance(cls)
    assert from_mapping(cls, to_mapping(one)) == one
    assert from_yaml(cls, to_yaml(one)) == one
    assert from_json(cls, to_json(one)) == one
    assert hash(one) == hash(copy.deepcopy(one)) and pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(one, dataclasses.fields(cls)[0].name if dataclasses.fields(cls) else "new", 1)
    schema = json_schema(cls)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(to_mapping(one), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**to_mapping(one), "no_such_field": 1}, schema)
    with pytest.raises(ConfigError, match="no such field"):
        from_mapping(cls, {**to_mapping(one), "no_such_field": 1})
    for field in dataclasses.fields(cls):
        documented = (base.__doc__ or "" for base in cls.__mro__)
        assert any(f"{field.name}:" in text for text in documented), f"{field.name} is not documented"


@pytest.mark.parametrize("cls", CONFIGS, ids=lambda cls: cls.__name__)
def test_every_config_is_exported(cls):
    assert getattr(configuration, cls.__name__) is cls


def test_round_trip_of_values():
    one = TreeConfig(
        layers=(LayerConfig(width=1), LayerConfig(width=2)),
        extra=LayerConfig(width=7),
        schedule=CyclicalScheduleConfig(start=1e-7, num_cycles=3),
        name="null: [yes, 1]",
        num_classes=10,
    )
    for text, read in ((to_yaml(one), from_yaml), (to_json(one), from_json)):
        assert read(ModelConfig, text) == one
    assert json.loads(to_json(one)) == to_mapping(one)
    jsonschema.validate(to_mapping(one), json_schema(TreeConfig))
    assert one.replace(extra=None) == TreeConfig(**{**vars(one), "extra": None})
    assert one != one.replace(name="off") and len({one, copy.copy(one), one.replace(name="off")}) == 2


def test_short_forms_and_yaml_values():
    """A number is a constant schedule, `1e-3` is a number, `on` a string; lists stand for tuples."""
    text = "kind: test_configuration_tree\nschedule: 1e-3\nname: on\nsizes: [1, 2]\nlayers: [{width: 5}]\n"
    one = from_yaml(ModelConfig, text)
    assert one.schedule == ConstantScheduleConfig(value=0.001) and one.name == "on"
    assert one.sizes == (1, 2) and one.layers == (LayerConfig(width=5),)
    schema = json_schema(TreeConfig)
    # What the loader takes, the schema takes: short forms, and no `kind` where only one is possible.
    jsonschema.validate({"schedule": 0.5, "layers": [{"width": 5}], "extra": {}}, schema)
    for wrong in ({"schedule": "0.5"}, {"schedule": {"value": 1.0}}, {"layers": [{"width": 0}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"value": 1.0}, json_schema(ScheduleConfig))


def _error(call, *args, **kwargs):
    with pytest.raises(ConfigError) as info:
        call(*args, **kwargs)
    return info.value


def test_errors_name_the_path_and_the_nearest_field():
    error = _error(
        from_mapping, ModelConfig, {"kind": "test_configuration_tree", "layers": [{}, {"widht": 3}]}
    )
    assert error.path == ("layers", 1, "widht")
    assert "layers.1.widht" in str(error) and "Did you mean 'width'" in str(error)
    error = _error(TreeConfig, schedule={"kind": "cyclicl"})
    assert error.path == ("schedule", "kind") and "Did you mean 'cyclical'" in str(error)
    error = _error(TreeConfig, schedule={"start": 1.0})
    assert error.path == ("schedule", "kind") and "required, one of: constant, cyclical" in str(error)
    error = _error(TreeConfig, schedule={"kind": "cyclical", "ramp_fraction": 2.0})
    assert error.path == ("schedule", "ramp_fraction") and "less than or equal to 1" in str(error)
    error = _error(TreeConfig, schedule={"kind": "piecewise", "boundaries": [1]})
    assert error.path == ("schedule",) and "one more entry" in str(error)


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"sizes": (4, 0)}, ("sizes", 1), "greater than or equal to 1; got 0"),
        ({"sizes": (4, 2.5)}, ("sizes", 1), "got 2.5"),
        ({"num_classes": "ten"}, ("num_classes",), "integer; got 'ten'"),
        ({"num_classes": True}, ("num_classes",), "integer; got True"),
        ({"event_shape": ()}, ("event_shape",), "at least 1 item"),
        ({"name": 3}, ("name",), "string; got 3"),
        ({"extra": 3}, ("extra",), "got 3"),
        ({"extra": NormalConfig()}, ("extra",), "LayerConfig"),
        ({"schedule": True}, ("schedule",), "got True"),
        ({"schedule": float("nan")}, ("schedule", "value"), "finite number; got nan"),
        ({"num_classes": 3, "condition_shape": (2,)}, (), "not both"),
    ],
)
def test_errors_of_wrong_values(fields, path, message):
    error = _error(TreeConfig, **fields)
    assert error.path == path and message in str(error)


@pytest.mark.parametrize("kind", [3, ["constant"], {"a": 1}, "x"])
def test_a_kind_that_is_no_name(kind):
    assert _error(from_mapping, ScheduleConfig, {"kind": kind}).path == ("kind",)


def test_fields_are_given_by_name():
    with pytest.raises(TypeError, match="ConstantScheduleConfig takes its fields by name; got 3"):
        ConstantScheduleConfig(3)


def test_abstract_configs_cannot_be_built():
    with pytest.raises(TypeError, match="build one of ConstantScheduleConfig"):
        ScheduleConfig()


def test_a_kind_is_unique_within_its_family():
    with pytest.raises(ValueError, match="'constant' is taken by ConstantScheduleConfig"):

        @config("constant")
        class Another(ScheduleConfig):
            pass

    @config("constant")
    class Unrelated(Config):
        pass

    assert config_kinds(ScheduleConfig)["constant"] is ConstantScheduleConfig

    def define():
        @config("test_configuration_again")
        class Again(ScheduleConfig):
            pass

        return Again

    define()
    assert config_kinds(ScheduleConfig)["test_configuration_again"] is not define()  # as a notebook cell does
    newest = define()
    assert config_kinds(ScheduleConfig)["test_configuration_again"] is newest


def test_texts_and_files_that_are_no_configs(tmp_path):
    assert "not valid YAML" in str(_error(from_yaml, ScheduleConfig, "{"))
    assert "not valid YAML" in str(_error(from_yaml, ScheduleConfig, "kind: constant\nkind: linear"))
    assert "must be a mapping" in str(_error(from_yaml, ScheduleConfig, ""))
    assert "not valid JSON" in str(_error(from_json, ScheduleConfig, "{'kind': 1}"))
    assert "field names are strings" in str(_error(from_mapping, ScheduleConfig, {"kind": "linear", 3: 4}))
    with pytest.raises(FileNotFoundError, match=r"missing\.yaml"):
        load_yaml(ScheduleConfig, tmp_path / "missing.yaml")
    path = tmp_path / "wrong.yaml"
    for content in (b"- 1", b"kind: constant\nvlaue: 1.0", b"\xff\xfe\x00"):
        path.write_bytes(content)
        assert str(path) in str(_error(load_yaml, ScheduleConfig, path))
    path.write_text(to_yaml(PiecewiseScheduleConfig()))
    assert load_yaml(ScheduleConfig, path) == PiecewiseScheduleConfig()


def test_configs_load_without_jax():
    code = (
        "import sys, artifex.generative_models.core.configuration; "
        "sys.exit(any(name in sys.modules for name in ('jax', 'equinox', 'optax', 'distrax')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
