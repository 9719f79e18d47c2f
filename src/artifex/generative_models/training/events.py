"""What a training run tells its callbacks.

A callback is any object with an attribute `every` and a call `callback(run, event)`. It gets `Started` and `Ended`
once, `Advanced` after each call of the compiled step, `Logged` for each line of metrics, and `Reached` at each
multiple of `every` steps.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from artifex.generative_models.core.configuration import TrainingConfig


@dataclasses.dataclass(frozen=True)
class Started:
    """The run begins, or goes on after a break.

    Attributes:
        step: updates made before.
    """

    step: int


@dataclasses.dataclass(frozen=True)
class Advanced:
    """A call of the compiled step has been sent off; devices may still work on it.

    Attributes:
        step: updates made or under way.
    """

    step: int


@dataclasses.dataclass(frozen=True)
class Reached:
    """A step that a callback asked for by its `every`.

    Attributes:
        step: updates made so far.
    """

    step: int


@dataclasses.dataclass(frozen=True)
class Logged:
    """New metrics.

    Attributes:
        step: updates made so far.
        split: `train` or `validation`.
        metrics: means over the steps since the last line, or over the validation data.
    """

    step: int
    split: str
    metrics: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Ended:
    """The run is over, for whatever reason.

    Attributes:
        step: updates made.
        reason: `finished`, `interrupted`, `failed`, or what a callback gave to `run.stop`.
    """

    step: int
    reason: str


Event = Started | Advanced | Reached | Logged | Ended


@runtime_checkable
class Run(Protocol):
    """A training run as callbacks see it.

    Attributes:
        config: how the model is trained.
        run_dir: the run folder, or None.
        step: updates made so far.
    """

    config: TrainingConfig
    run_dir: Path | None
    step: int

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        """All metrics so far, oldest first, also those of before a break."""
        ...

    @property
    def model(self) -> Any:
        """The model as trained so far: a copy that stays valid, averaged where the run keeps an average."""
        ...

    def log(self, split: str, metrics: Mapping[str, float]) -> None:
        """Write metrics to the run folder and tell all callbacks."""
        ...

    def save(self) -> None:
        """Write a checkpoint, if there is a run folder."""
        ...

    def stop(self, reason: str) -> None:
        """End the run after this step."""
        ...


@runtime_checkable
class Callback(Protocol):
    """Takes part in a training run.

    Attributes:
        every: steps between `Reached` events; None: none of them.
    """

    every: int | None

    def __call__(self, run: Run, event: Event) -> None:
        """React to an event."""
        ...
