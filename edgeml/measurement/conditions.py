"""Conditions of the machine during a measurement: other processes, preemption, frequency, heat, hypervisor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgeml.core.records.benchmark_results import Conditions

__all__ = ["ConditionMonitor"]

# Limits below which figures do not change by more than the noise of a quiet machine.
_MAX_OTHERS = 0.1  # share of the cores' time
_MAX_STEAL = 0.02  # share of the cores' time: some jiffies in a second
_MAX_WAITED = 0.02  # share of the process's own time
_MIN_FREQUENCY = 0.9  # share of the highest frequency
_SAMPLE_EVERY = 25  # calls per reading of the frequency, which itself takes some time


@dataclass(frozen=True, slots=True)
class _Counters:
    """Counters of the system at one moment; None where the system does not report them.

    Attributes:
        cores: Total time of the cores, in seconds.
        busy: Time that the cores were busy, in seconds.
        steal: Time that the hypervisor took, in seconds.
        own: Processor time of this process and its descendants, in seconds.
        ran: Time that this process's threads ran, in seconds.
        waited: Time that this process's threads waited to run, in seconds.
        preempted: Number of involuntary context switches.
        throttled: Number of times that the processor slowed down for heat.
        microjoules: Energy counter of each processor, and the value at which the counter wraps.
    """

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
class ConditionMonitor:
    """Monitor of the machine's conditions, from its creation until `conditions`.

    Args:
        root: Folder of ``/proc`` and ``/sys``.

    Example:
        >>> monitor = ConditionMonitor()
        >>> work()
        >>> monitor.conditions().flags
        ('Other processes took 48% of the cores\u2019 time.',)
    """

    root: Path = Path("/")
    _begin: _Counters = field(init=False)
    _mhz: list[float] = field(init=False, default_factory=list)
    _celsius: list[float] = field(init=False, default_factory=list)
    _calls: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._read_sensors()
        self._begin = self._read_counters()

    def sample(self) -> None:
        """Read frequency and temperature at every 25th call, so that short changes are noticed too."""
        self._calls += 1
        if self._calls % _SAMPLE_EVERY == 0:
            self._read_sensors()

    def conditions(self, *flags: str, yardstick_us: float | None = None) -> Conditions:
        """Return the conditions since the monitor was created.

        Args:
            flags: Further reasons to doubt the figures, as sentences.
            yardstick_us: Time of a `ReferenceWorkload` meanwhile, in microseconds.
        """
        end, begin = self._read_counters(), self._begin
        self._read_sensors()
        cores = _difference(begin.cores, end.cores)
        busy, own = _difference(begin.busy, end.busy), _difference(begin.own, end.own)
        steal = _share(_difference(begin.steal, end.steal), cores)
        others = None if busy is None or own is None else _share(max(0.0, busy - own), cores)
        ran, waited = _difference(begin.ran, end.ran), _difference(begin.waited, end.waited)
        sentences = [*flags]
        if others is not None and others > _MAX_OTHERS:
            sentences.append(f"Other processes took {others:.0%} of the cores' time.")
        if steal is not None and steal > _MAX_STEAL:
            sentences.append(f"The hypervisor took {steal:.0%} of the cores' time.")
        waiting = None if ran is None or waited is None else _share(waited, ran + waited)
        if waiting is not None and waiting > _MAX_WAITED:
            sentences.append(f"This process waited for a core for {waiting:.0%} of its time.")
        low, high = min(self._mhz, default=None), max(self._mhz, default=None)
        if low is not None and high is not None and low < _MIN_FREQUENCY * high:
            sentences.append(f"The core's frequency changed between {low:.0f} and {high:.0f} MHz.")
        throttled = None if begin.throttled is None or end.throttled is None else end.throttled - begin.throttled
        if throttled:
            sentences.append(f"The processor slowed itself down for heat {throttled} times.")
        return Conditions(
            flags=tuple(sentences),
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
        """Return the energy since then in joules; None without RAPL, which often only root may read."""
        end, begin = self._read_counters().microjoules, self._begin.microjoules
        if not end or len(end) != len(begin):
            return None
        return sum((after - before) % (span + 1) for (before, _), (after, span) in zip(begin, end, strict=True)) / 1e6

    def _read_counters(self) -> _Counters:
        tick = os.sysconf("SC_CLK_TCK")
        core_times: dict[str, float] = {}
        own_cores = {f"cpu{core}" for core in os.sched_getaffinity(0)} if hasattr(os, "sched_getaffinity") else set()
        lines = [line.split() for line in _read_text(self.root / "proc/stat").splitlines()]
        rows = [[int(value) for value in line[1:9]] for line in lines if line and line[0] in own_cores]
        if rows:
            user, nice, system, idle, wait, irq, soft, steal = (sum(column) for column in zip(*rows, strict=True))
            busy = user + nice + system + irq + soft
            core_times = {"cores": busy + idle + wait + steal, "busy": busy, "steal": steal}
            core_times = {key: value / tick for key, value in core_times.items()} | {"own": self._own_seconds(tick)}
        ran, waited = self._schedule_seconds()
        return _Counters(
            **core_times,
            ran=ran,
            waited=waited,
            preempted=_read_field(_read_text(self.root / "proc/self/status"), "nonvoluntary_ctxt_switches"),
            throttled=_read_total(self.root, "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"),
            microjoules=tuple(self._energy_counters()),
        )

    def _own_seconds(self, tick: int) -> float:
        """Return the processor time of this process and its descendants, both running and awaited, in seconds."""
        total, waiting = 0, ["self"]
        while waiting:
            process = self.root / "proc" / waiting.pop()
            fields = _read_text(process / "stat").rpartition(")")[2].split()
            if fields:
                total += sum(map(int, fields[11:15]))
            for task in process.glob("task/*/children"):
                waiting += _read_text(task).split()
        return total / tick

    def _schedule_seconds(self) -> tuple[float | None, float | None]:
        """Return the seconds that this process's threads ran, and waited to run."""
        rows = [_read_text(path).split() for path in self.root.glob("proc/self/task/*/schedstat")]
        rows = [row for row in rows if len(row) == 3]
        if not rows:
            return None, None
        return sum(int(row[0]) for row in rows) / 1e9, sum(int(row[1]) for row in rows) / 1e9

    def _energy_counters(self) -> Iterator[tuple[int, int]]:
        """Return the energy counter of each processor in microjoules, and the value at which it wraps."""
        for zone in sorted((self.root / "sys/class/powercap").glob("intel-rapl:[0-9]")):
            used, span = _read_text(zone / "energy_uj").strip(), _read_text(zone / "max_energy_range_uj").strip()
            if used.isdigit() and span.isdigit():
                yield int(used), int(span)

    def _read_sensors(self) -> None:
        """Read the frequency of the current core, and temperatures."""
        fields = _read_text(self.root / "proc/self/stat").rpartition(")")[2].split()
        if len(fields) > 36:
            policy = self.root / f"sys/devices/system/cpu/cpu{fields[36]}/cpufreq/scaling_cur_freq"
            self._mhz += [int(value) / 1000 for value in _read_text(policy).split() if value.isdigit()]
        for zone in self.root.glob("sys/class/thermal/thermal_zone*/temp"):
            value = _read_text(zone).strip()
            if value.lstrip("-").isdigit():
                self._celsius.append(int(value) / 1000)


def _read_text(path: Path) -> str:
    with contextlib.suppress(OSError):  # the system does not report it, or the process has ended
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _read_field(text: str, name: str) -> int | None:
    values = [line.partition(":")[2] for line in text.splitlines() if line.startswith(f"{name}:")]
    return int(values[0]) if values else None


def _read_total(root: Path, pattern: str) -> int | None:
    values = [text for path in root.glob(pattern) if (text := _read_text(path).strip()).isdigit()]
    return sum(map(int, values)) if values else None


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else min(1.0, max(0.0, part / whole))
