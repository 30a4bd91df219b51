"""What the machine did meanwhile: on this one, and read from trees of files as Linux has them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeml.measurement.conditions import ConditionMonitor

TICK = os.sysconf("SC_CLK_TCK")


def written(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def machine(root: Path, second: int, **changed: str) -> None:
    """Files of a machine whose cores have run so many seconds, of which this process took all that was not idle."""
    core = next(iter(os.sched_getaffinity(0)))
    busy = second * TICK
    own = ["0"] * 50
    own[11], own[36] = str(busy), str(core)
    files = {
        "proc/stat": f"cpu  1 2 3\ncpu{core} {busy} 0 0 {busy} 0 0 0 0 0 0\n",
        "proc/self/stat": f"7 (a) b) {' '.join(own)}",
        "proc/self/status": f"Name:\tx\nnonvoluntary_ctxt_switches:\t{second}\n",
        "proc/self/task/7/schedstat": f"{second}000000000 0 3\n",
        f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": "1800000\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "4\n",
        "sys/class/thermal/thermal_zone0/temp": "48250\n",
        "sys/class/powercap/intel-rapl:0/energy_uj": f"{(second * 7_700_000) % 100_000_001}\n",
        "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "100000000\n",
    }
    written(root, files | {name: text.format(core=core) for name, text in changed.items()})


def test_a_quiet_machine_has_no_flags(tmp_path: Path) -> None:
    machine(tmp_path, 100)
    monitor = ConditionMonitor(tmp_path)
    machine(tmp_path, 110)
    found = monitor.conditions()
    assert found.flags == ()
    assert (found.others, found.steal, found.waited, found.preempted) == (0, 0, 0, 10)
    assert (found.mhz_low, found.mhz_high, found.celsius, found.throttled) == (1800, 1800, 48.25, 0)
    assert monitor.joules() == pytest.approx(77, rel=1e-5)  # over the counter's end


@pytest.mark.parametrize(
    ("changed", "flag"),
    [
        ({"proc/stat": f"cpu{{core}} {116 * TICK} 0 0 {104 * TICK} 0 0 0 0"}, "Other processes took 30% of the cores'"),
        ({"proc/stat": f"cpu{{core}} {110 * TICK} 0 0 {109 * TICK} 0 0 0 {TICK}"}, "hypervisor took 5% of the cores'"),
        ({"proc/self/task/7/schedstat": "107000000000 3000000000 9"}, "waited for a core for 30% of its time"),
        (
            {"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": "600000"},
            "frequency changed between 600 and 1800 MHz",
        ),
        ({"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "6"}, "for heat 2 times"),
    ],
)
def test_what_disturbs_is_flagged(tmp_path: Path, changed: dict[str, str], flag: str) -> None:
    core = next(iter(os.sched_getaffinity(0)))
    machine(tmp_path, 100)
    monitor = ConditionMonitor(tmp_path)
    machine(tmp_path, 110, **{name.format(core=core): text for name, text in changed.items()})
    (told,) = monitor.conditions().flags
    assert flag in told


def test_a_frequency_that_falls_only_in_between_is_seen(tmp_path: Path) -> None:
    core = next(iter(os.sched_getaffinity(0)))
    machine(tmp_path, 100)
    monitor = ConditionMonitor(tmp_path)
    slow = {f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": "600000"}
    machine(tmp_path, 105, **slow, **{"sys/class/thermal/thermal_zone0/temp": "85000"})
    for _ in range(25):
        monitor.sample()
    machine(tmp_path, 110)
    found = monitor.conditions()
    assert found.flags == ("The core's frequency changed between 600 and 1800 MHz.",)
    assert found.celsius == 85


def test_a_system_that_does_not_tell_gives_nothing(tmp_path: Path) -> None:
    monitor = ConditionMonitor(tmp_path)
    found = monitor.conditions("A doubt of the caller's.")
    assert found.flags == ("A doubt of the caller's.",)
    values = (found.others, found.steal, found.waited, found.preempted, found.mhz_low, found.celsius, found.throttled)
    assert values == (None,) * 7
    assert monitor.joules() is None


def test_children_that_have_ended_are_no_others(tmp_path: Path) -> None:
    """A comparison with TFLite Micro starts and ends interpreters, each a process, again and again."""
    core = next(iter(os.sched_getaffinity(0)))
    machine(tmp_path, 100)
    monitor = ConditionMonitor(tmp_path)
    own = ["0"] * 50
    own[11], own[13], own[14], own[36] = str(102 * TICK), str(5 * TICK), str(3 * TICK), str(core)
    machine(tmp_path, 110, **{"proc/self/stat": f"7 (a) b) {' '.join(own)}"})
    assert monitor.conditions().others == 0


@pytest.mark.slow
def test_another_process_on_each_core_is_seen() -> None:
    cores = len(os.sched_getaffinity(0))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        time.sleep(0.3)
        monitor, end = ConditionMonitor(), time.monotonic() + 0.8
        while time.monotonic() < end:
            pass
        found = monitor.conditions()
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert found.others is not None
    assert found.others > 0.1
    assert any("Other processes" in flag for flag in found.flags)
    assert found.preempted
    assert any("waited for a core" in flag for flag in found.flags)
