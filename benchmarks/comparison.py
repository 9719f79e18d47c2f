"""A side-by-side comparison: start the implementations, check them, time them in turn, put the result together."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.harness import Spread, Worker, WorkerError, interleave, machine, ratios


def compare(
    starts: Mapping[str, Callable[[], Worker]],
    *,
    ours: str,
    check: Callable[[Worker], None],
    units_per_block: int,
    rounds: int,
    warmup: int,
) -> dict[str, Any]:
    """Check and time implementations; what does not start is named in the result with the reason.

    Args:
        starts: starts the worker of each implementation, by name.
        ours: the implementation whose time is divided by that of the others; it must start.
        check: raises ValueError where an implementation does other maths.
        units_per_block: how many of what is timed (training steps, calls) one block holds.
        rounds: measured blocks of each.
        warmup: blocks of each that are run after the first and dropped.
    """
    conditions = machine()
    workers: list[Worker] = []
    absent: dict[str, str] = {}
    first_seconds, last = {}, {}
    try:
        for name, start in starts.items():
            try:
                worker = start()
                workers.append(worker)
                check(worker)
                first_seconds[name] = worker.block().seconds
            except WorkerError as error:
                if name == ours:
                    raise
                absent[name] = str(error).strip().splitlines()[-1]
                workers = [known for known in workers if known.name != name]
                print(f"{name}: left out\n{error}", file=sys.stderr)
        blocks = interleave(workers, rounds=rounds, warmup=warmup)
        for worker in workers:
            last[worker.name] = worker.close()
    except BaseException:
        for worker in workers:
            worker.kill()
        raise
    seconds = {name: [block.seconds for block in ran] for name, ran in blocks.items()}
    cpu_seconds = {name: [block.cpu_seconds for block in ran] for name, ran in blocks.items()}
    return {
        "machine": conditions,
        "rounds": rounds,
        "implementations": {
            worker.name: {
                **worker.about,
                **last[worker.name],
                "first_block_seconds": round(first_seconds[worker.name], 2),
                "milliseconds": Spread.of(
                    [1e3 * value / units_per_block for value in seconds[worker.name]]
                ).to_mapping(),
            }
            for worker in workers
        },
        "left_out": absent,
        "ratios": {
            f"{ours} / {name}": spread.to_mapping() for name, spread in ratios(seconds, of=ours).items()
        },
        "cpu_time_ratios": {
            f"{ours} / {name}": spread.to_mapping() for name, spread in ratios(cpu_seconds, of=ours).items()
        },
        "block_seconds": {name: [round(value, 5) for value in values] for name, values in seconds.items()},
    }


def report(result: Mapping[str, Any], *, ours: str, unit: str) -> str:
    """The table that a benchmark prints.

    Args:
        result: of `compare`.
        ours: as there.
        unit: what a block holds several of: "step".
    """
    lines = [f"{'':22}{f'ms per {unit}':>26}{'first block':>13}   {ours} takes"]
    for name, values in result["implementations"].items():
        time = values["milliseconds"]
        spread = f"{time['median']:.3f} [{time['quartiles'][0]:.3f}, {time['quartiles'][1]:.3f}]"
        ratio = result["ratios"].get(f"{ours} / {name}")
        times = ""
        if ratio:
            low, high = ratio["quartiles"]
            cpu = result["cpu_time_ratios"][f"{ours} / {name}"]["median"]
            times = f"   {ratio['median']:.2f} [{low:.2f}, {high:.2f}] of its time, {cpu:.2f} of its CPU time"
        lines.append(f"{name:22}{spread:>26}{values['first_block_seconds']:>11.2f} s{times}")
    lines += [f"{name:22}left out: {reason}" for name, reason in result["left_out"].items()]
    return "\n".join(lines)
