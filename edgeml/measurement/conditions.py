"""What the machine did while something was measured: other processes, preemption, frequency, heat, a hypervisor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgeml.core.records.benchmark_results import Conditions

__all__ = ["Watch"]

# Below these, figures do not move by more than the noise that a quiet machine has by itself.
_OTHERS = 0.1  # of the cores' time
_STEAL = 0.02  # of the cores' time: some jiffies in a second
_WAITED = 0.02  # of the process's own time
_SLOWER = 0.9  # of the highest frequency
_SELDOM = 25  # calls for a look at the frequency, which itself takes some time


@dataclass(frozen=True, slots=True)
class _Look:
    """Counters at one moment, in seconds where they are times; None where the system does not tell."""

    cores: float | None = None
    busy: float | None = None
    steal: float | None = None
    own: float | None = None
    ran: float | None = None
    waited: float | None = None
    preempted: int | None = None
    throttled: int | None = None
    microjoules: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Watch:
    """Watches the machine from its making until `conditions`.

    Args:
        root: Where ``/proc`` and ``/sys`` lie.

    Example:
        >>> watch = Watch()
        >>> work()
        >>> watch.conditions().flags
        ('Other processes took 48% of the cores\u2019 time.',)
    """

    root: Path = Path("/")
    _begin: _Look = field(init=False)
    _mhz: list[float] = field(init=False, default_factory=list)
    _celsius: list[float] = field(init=False, default_factory=list)
    _calls: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._glance()
        self._begin = self._look()

    def glance(self) -> None:
        """Looks at frequency and temperature in between, at every 25th call, so that what passes is seen too."""
        self._calls += 1
        if self._calls % _SELDOM == 0:
            self._glance()

    def conditions(self, *flags: str, yardstick_us: float | None = None) -> Conditions:
        """What happened since.

        Args:
            flags: What else makes the figures doubtful.
            yardstick_us: What a `Yardstick` told meanwhile.
        """
        end, begin = self._look(), self._begin
        self._glance()
        cores = _more(begin.cores, end.cores)
        busy, own = _more(begin.busy, end.busy), _more(begin.own, end.own)
        steal = _share(_more(begin.steal, end.steal), cores)
        others = None if busy is None or own is None else _share(max(0.0, busy - own), cores)
        ran, waited = _more(begin.ran, end.ran), _more(begin.waited, end.waited)
        told = [*flags]
        if others is not None and others > _OTHERS:
            told.append(f"Other processes took {others:.0%} of the cores' time.")
        if steal is not None and steal > _STEAL:
            told.append(f"The hypervisor took {steal:.0%} of the cores' time.")
        waiting = None if ran is None or waited is None else _share(waited, ran + waited)
        if waiting is not None and waiting > _WAITED:
            told.append(f"This process waited for a core for {waiting:.0%} of its time.")
        low, high = min(self._mhz, default=None), max(self._mhz, default=None)
        if low is not None and high is not None and low < _SLOWER * high:
            told.append(f"The core's frequency changed between {low:.0f} and {high:.0f} MHz.")
        throttled = None if begin.throttled is None or end.throttled is None else end.throttled - begin.throttled
        if throttled:
            told.append(f"The processor slowed itself down for heat {throttled} times.")
        return Conditions(
            flags=tuple(told),
            others=others,
            steal=steal,
            waited=waiting,
            preempted=None if begin.preempted is None or end.preempted is None else end.preempted - begin.preempted,
            mhz_low=low,
            mhz_high=high,
            celsius=max(self._celsius, default=None),
            throttled=throttled,
            yardstick_us=yardstick_us,
        )

    def joules(self) -> float | None:
        """Energy that the processor took since, where it tells (RAPL, which often only root may read)."""
        end, begin = self._look().microjoules, self._begin.microjoules
        if not end or len(end) != len(begin):
            return None
        return sum((after - before) % (span + 1) for (before, _), (after, span) in zip(begin, end, strict=True)) / 1e6

    def _look(self) -> _Look:
        tick = os.sysconf("SC_CLK_TCK")
        found: dict[str, float] = {}
        here = {f"cpu{core}" for core in os.sched_getaffinity(0)} if hasattr(os, "sched_getaffinity") else set()
        lines = [line.split() for line in _text(self.root / "proc/stat").splitlines()]
        rows = [[int(value) for value in line[1:9]] for line in lines if line and line[0] in here]
        if rows:
            user, nice, system, idle, wait, irq, soft, steal = (sum(column) for column in zip(*rows, strict=True))
            busy = user + nice + system + irq + soft
            found = {"cores": busy + idle + wait + steal, "busy": busy, "steal": steal}
            found = {key: value / tick for key, value in found.items()} | {"own": self._own(tick)}
        ran, waited = self._scheduled()
        return _Look(
            **found,
            ran=ran,
            waited=waited,
            preempted=_field(_text(self.root / "proc/self/status"), "nonvoluntary_ctxt_switches"),
            throttled=_total(self.root, "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"),
            microjoules=tuple(self._energy()),
        )

    def _own(self, tick: int) -> float:
        """Time of this process and of its descendants, living and awaited, such as TFLite Micro's."""
        total, waiting = 0, ["self"]
        while waiting:
            process = self.root / "proc" / waiting.pop()
            fields = _text(process / "stat").rpartition(")")[2].split()
            if fields:
                total += sum(map(int, fields[11:15]))
            for task in process.glob("task/*/children"):
                waiting += _text(task).split()
        return total / tick

    def _scheduled(self) -> tuple[float | None, float | None]:
        """Seconds that this process's threads ran, and waited to run."""
        rows = [_text(path).split() for path in self.root.glob("proc/self/task/*/schedstat")]
        rows = [row for row in rows if len(row) == 3]
        if not rows:
            return None, None
        return sum(int(row[0]) for row in rows) / 1e9, sum(int(row[1]) for row in rows) / 1e9

    def _energy(self) -> Iterator[tuple[int, int]]:
        """Microjoules of each processor, and where its counter begins again."""
        for zone in sorted((self.root / "sys/class/powercap").glob("intel-rapl:[0-9]")):
            used, span = _text(zone / "energy_uj").strip(), _text(zone / "max_energy_range_uj").strip()
            if used.isdigit() and span.isdigit():
                yield int(used), int(span)

    def _glance(self) -> None:
        """Frequency of the core that runs this, and temperatures."""
        fields = _text(self.root / "proc/self/stat").rpartition(")")[2].split()
        if len(fields) > 36:
            policy = self.root / f"sys/devices/system/cpu/cpu{fields[36]}/cpufreq/scaling_cur_freq"
            self._mhz += [int(value) / 1000 for value in _text(policy).split() if value.isdigit()]
        for zone in self.root.glob("sys/class/thermal/thermal_zone*/temp"):
            value = _text(zone).strip()
            if value.lstrip("-").isdigit():
                self._celsius.append(int(value) / 1000)


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):  # the system does not tell, or the process has ended
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _field(text: str, name: str) -> int | None:
    values = [line.partition(":")[2] for line in text.splitlines() if line.startswith(f"{name}:")]
    return int(values[0]) if values else None


def _total(root: Path, pattern: str) -> int | None:
    values = [text for path in root.glob(pattern) if (text := _text(path).strip()).isdigit()]
    return sum(map(int, values)) if values else None


def _more(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else min(1.0, max(0.0, part / whole))
