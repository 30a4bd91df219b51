"""Latency of sessions."""

from __future__ import annotations

from edgeml.measurement.latency import measure_latency

__all__ = ["measure_latency"]
