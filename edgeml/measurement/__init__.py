"""Latency, throughput, memory and cold start of sessions, with their uncertainty."""

from __future__ import annotations

from edgeml.measurement.baseline import compare_with_baseline
from edgeml.measurement.bench import bench, compare_cases, measure, now, results_of
from edgeml.measurement.cases import BenchPlan, Case, Options, plan_cases
from edgeml.measurement.comparison import compare
from edgeml.measurement.latency import measure_latency
from edgeml.measurement.machine import this_machine

__all__ = [
    "BenchPlan",
    "Case",
    "Options",
    "bench",
    "compare",
    "compare_cases",
    "compare_with_baseline",
    "measure",
    "measure_latency",
    "now",
    "plan_cases",
    "results_of",
    "this_machine",
]
