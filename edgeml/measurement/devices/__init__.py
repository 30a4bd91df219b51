"""Benchmarks on devices over SSH."""

from __future__ import annotations

from edgeml.measurement.devices.connection import ConnectionLost
from edgeml.measurement.devices.device import Device, read_lab
from edgeml.measurement.devices.job import Job, News, bench_on_device
from edgeml.measurement.devices.lab import bench_in_lab

__all__ = ["ConnectionLost", "Device", "Job", "News", "bench_in_lab", "bench_on_device", "read_lab"]
