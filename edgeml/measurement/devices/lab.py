"""Benchmarks on several devices at the same time."""

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
    on_result: Callable[[Device, Results | EdgemlError], None] = lambda *_: None,
) -> dict[str, Results | EdgemlError]:
    """Measure a package on several devices at the same time. A device that fails does not stop the others.

    An interrupt stops and removes the benchmarks on all devices first.

    Args:
        devices: Devices to measure on.
        job: Job to run.
        report: Called with the progress of a device, from several threads.
        on_result: Called from this thread with the results or the error of a device, as soon as they are there.

    Returns:
        Results or error of each device, by its title.
    """
    cancelled = threading.Event()
    outcomes: dict[str, Results | EdgemlError] = {}

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
                    outcomes[device.title] = future.result()
                    on_result(device, outcomes[device.title])
        except BaseException:
            cancelled.set()
            raise
    return {device.title: outcomes[device.title] for device in devices}
