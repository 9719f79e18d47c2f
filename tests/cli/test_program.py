"""Dispatch of commands, exit codes, and where messages go."""

import signal
import subprocess
import sys
import types

import pytest

from artifex.cli import main, program
from artifex.cli.messages import UsageError, describe

HEAVY = ("jax", "equinox", "matplotlib", "distrax", "pydantic", "tyro", "ruamel", "numpy")


@pytest.fixture
def command(monkeypatch):
    """Replaces every command by a function of the test."""

    def install(function):
        module = types.SimpleNamespace(run=function)
        monkeypatch.setattr(program.importlib, "import_module", lambda name: module)

    return install


def raising(error):
    """A command that fails."""

    def run(arguments):
        raise error

    return run


class TestFirstWord:
    def test_help_goes_to_stdout_and_names_every_command(self, capsys):
        assert main(["--help"]) == 0
        out, err = capsys.readouterr()
        assert all(name in out for name in ("train", "generate", "evaluate", "config", "info")) and not err

    def test_nothing_is_wrong_usage(self, capsys):
        assert main([]) == 2

    def test_version(self, capsys):
        assert main(["--version"]) == 0
        assert capsys.readouterr().out.startswith("artifex 0.")

    def test_unknown_command_names_the_nearest(self, capsys):
        assert main(["trian"]) == 2
        out, err = capsys.readouterr()
        assert "Did you mean 'train'?" in err and not out

    def test_unknown_option(self, capsys):
        assert main(["--quick"]) == 2
        assert "unknown option --quick" in capsys.readouterr().err


class TestErrors:
    def test_code_of_the_command_is_returned(self, command):
        command(lambda arguments: 0 if arguments == ["a", "--b"] else 9)
        assert main(["info", "a", "--b"]) == 0

    def test_failure_is_one_line_on_stderr_without_traceback(self, command, capsys, monkeypatch):
        monkeypatch.delenv("ARTIFEX_DEBUG", raising=False)
        command(raising(ValueError("`x` must be 1;\n   got 2")))
        assert main(["info"]) == 1
        out, err = capsys.readouterr()
        assert err == "artifex: error: `x` must be 1; got 2 (Traceback: add --debug.)\n" and not out

    @pytest.mark.parametrize("by", ["flag", "environment"])
    def test_debug_shows_the_traceback(self, command, capsys, monkeypatch, by):
        command(raising(ValueError("reason")))
        if by == "environment":
            monkeypatch.setenv("ARTIFEX_DEBUG", "1")
        assert main(["info", *(["--debug"] if by == "flag" else [])]) == 1
        err = capsys.readouterr().err
        assert "Traceback" in err and "ValueError: reason" in err

    def test_errors_that_say_too_little_name_their_type(self):
        assert describe(KeyError("x")).startswith("KeyError: 'x'")
        assert describe(ValueError()).startswith("ValueError (")
        assert describe(FileNotFoundError(2, "No such file", "a.npz")).startswith("a.npz: No such file")

    def test_wrong_usage_is_two(self, command, capsys):
        command(raising(UsageError("say it so")))
        assert main(["info"]) == 2
        assert capsys.readouterr().err == "artifex: error: say it so\n"

    def test_exit_of_the_option_parser_passes(self, command):
        command(raising(SystemExit(2)))
        assert main(["info"]) == 2
        command(raising(SystemExit(0)))
        assert main(["info"]) == 0

    def test_interrupt_is_130_and_sigterm_143(self, command, capsys):
        command(raising(KeyboardInterrupt()))
        assert main(["info"]) == 130
        terminated = KeyboardInterrupt("SIGTERM after step 3")
        terminated.signal = signal.SIGTERM
        command(raising(terminated))
        assert main(["info"]) == 143
        assert "SIGTERM after step 3" in capsys.readouterr().err


def run(*words, **options):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "artifex", *words], capture_output=True, text=True, check=False, **options
    )


def test_help_loads_nothing_heavy_and_takes_less_than_a_second():
    code = (
        "import sys, time; start = time.perf_counter()\n"
        "from artifex.cli import main; main(['--help'])\n"
        f"print(time.perf_counter() - start, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    ]
    seconds, loaded = zip(*(output.splitlines()[-1].split(" ", 1) for output in outputs), strict=True)
    assert set(loaded) == {"[]"}
    assert min(map(float, seconds)) < 0.5


def test_a_closed_pipe_is_quiet():
    """The reader of our output is gone before we write, as with `| head -0`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "artifex", "config", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 128 + signal.SIGPIPE
    assert error == b""
