"""Several devices side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from edgeml.core.errors import EdgemlError
from edgeml.core.records.benchmark_results import Results
from edgeml.measurement.devices.device import Device
from edgeml.measurement.devices.job import Job, News, bench_on_device

__all__ = ["bench_in_lab"]

_TICK_S = 0.2


def bench_in_lab(
    devices: tuple[Device, ...],
    job: Job,
    *,
    report: Callable[[Device, News], None] = lambda *_: None,
    arrived: Callable[[Device, Results | EdgemlError], None] = lambda *_: None,
) -> dict[str, Results | EdgemlError]:
    """Measures a package on several devices at the same time. One that fails does not stop the others.

    Interrupted, it ends and removes the benchmarks on all of them first.

    Args:
        devices: The devices.
        job: What to measure.
        report: Called with how a device gets on, from several threads.
        arrived: Called from this thread with what comes of a device, as soon as it does.

    Returns:
        For each device, by its title, the results or the error.
    """
    cancelled = threading.Event()
    found: dict[str, Results | EdgemlError] = {}

    def bench(device: Device) -> Results | EdgemlError:
        try:
            return bench_on_device(device, job, report=lambda news: report(device, news), cancelled=cancelled.is_set)
        except EdgemlError as error:
            return error

    with ThreadPoolExecutor(max_workers=len(devices)) as pool:
        running: dict[Future[Results | EdgemlError], Device] = {}
        try:
            running = {pool.submit(bench, device): device for device in devices}
            while running:
                for future in wait(running, _TICK_S, FIRST_COMPLETED).done:
                    device = running.pop(future)
                    found[device.title] = future.result()
                    arrived(device, found[device.title])
        except BaseException:
            cancelled.set()
            raise
    return {device.title: found[device.title] for device in devices}
