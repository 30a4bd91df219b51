"""Latency, throughput, memory and cold start of sessions, with their uncertainty."""

from __future__ import annotations

from edgeml.measurement.baseline import against_baseline
from edgeml.measurement.bench import bench, compare_cases, measure, now, results_of
from edgeml.measurement.cases import Case, Options, Plan, plan
from edgeml.measurement.comparison import compare
from edgeml.measurement.latency import measure_latency
from edgeml.measurement.machine import this_machine

__all__ = [
    "Case",
    "Options",
    "Plan",
    "against_baseline",
    "bench",
    "compare",
    "compare_cases",
    "measure",
    "measure_latency",
    "now",
    "plan",
    "results_of",
    "this_machine",
]
