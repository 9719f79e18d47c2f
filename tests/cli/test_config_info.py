"""`artifex config` and `artifex info`."""

import json

import pytest

from artifex.configs import preset_names
from artifex.generative_models.core.configuration import Experiment, from_yaml
from artifex.generative_models.zoo import get


class TestConfig:
    def test_list_names_every_preset_with_its_description(self, call):
        result = call("config", "list")
        lines = result.out.splitlines()
        assert result.code == 0 and [line.split()[0] for line in lines] == preset_names()
        assert all(get(line.split()[0]).description in line for line in lines)

    def test_show_is_the_whole_preset(self, call):
        assert from_yaml(Experiment, call("config", "show", "vae_digits").out) == get("vae_digits")

    def test_validate(self, call, tiny_yaml, tmp_path):
        assert call("config", "validate", tiny_yaml).out == f"{tiny_yaml}: valid\n"
        wrong = tmp_path / "wrong.yaml"
        wrong.write_text(tiny_yaml.read_text().replace("latent_size", "latent_sise"))
        result = call("config", "validate", wrong)
        assert result.code == 1 and "Did you mean 'latent_size'" in result.err and not result.out
        assert call("config", "validate", tmp_path / "no.yaml").code == 1

    def test_schema(self, call):
        assert json.loads(call("config", "schema").out)["$ref"] == "#/$defs/Experiment"
        assert json.loads(call("config", "schema", "VAEConfig").out)["$ref"] == "#/$defs/VAEConfig"

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["shw"], "Did you mean 'show'?"),
            (["show"], "usage: artifex config show NAME; got nothing"),
            (["show", "vae_digit"], "Did you mean 'vae_digits'?"),
            (["list", "all"], "got all"),
            (["schema", "VEAConfig"], "Did you mean 'VAEConfig'?"),
        ],
    )
    def test_wrong_words(self, call, words, text):
        result = call("config", *words)
        assert result.code == 2 and text in result.err, result

    def test_help(self, call):
        assert "validate FILE" in call("config", "--help").out
        assert call("config").code == 2


class TestInfo:
    def test_lines_and_json_say_the_same(self, call, monkeypatch):
        monkeypatch.setenv("ARTIFEX_DATA_DIR", "/somewhere")
        lines, facts = call("info").out.splitlines(), json.loads(call("info", "--json").out)
        assert [line.split("   ")[0] for line in lines] == list(facts)
        assert facts["platform"] == "cpu" and facts["devices"].startswith("8 x")
        assert facts["ARTIFEX_DATA_DIR"] == "/somewhere"
        assert facts["jax"] != "not installed"
