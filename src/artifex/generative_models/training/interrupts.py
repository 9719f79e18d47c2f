"""Ctrl-C and SIGTERM during training: the step in flight ends, the state is saved, then the run stops."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class InterruptedTrainingError(KeyboardInterrupt):
    """A signal ended a run early; what was reached has been saved if there is a run folder.

    Attributes:
        step: updates made.
        num_steps: updates that were to be made.
        signal: which signal.
    """

    def __init__(self, step: int, num_steps: int, received: signal.Signals):
        self.step = step
        self.num_steps = num_steps
        self.signal = received
        super().__init__(f"{received.name} after step {step}")


class SignalWatch:
    """Context in which the first SIGINT or SIGTERM is noted, and a second one acts as usual.

    Outside the main thread, where Python takes no signal handlers, it notes nothing.

    Attributes:
        received: the signal, or None so far.
    """

    _WATCHED = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "SignalWatch":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self._WATCHED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
