"""TFLite Micro's child, failing in one way at one step."""

from __future__ import annotations

import os
import time

import numpy as np

from edgeml.runtimes.engines import tflite_micro_process
from edgeml.runtimes.engines.tflite_micro_process import MicroModel

__all__ = ["FAILURE", "MicroInterpreter"]

FAILURE = "EDGEML_TEST_MICRO_FAILURE"
"""Name of the variable that holds the step and the way, as ``invoke hang``."""


def _fail(step: str) -> None:
    at, way = os.environ[FAILURE].split()
    if at != step:
        return
    if way == "abort":
        os.abort()
    if way == "hang":
        time.sleep(1000)
    raise IndexError("list index out of range")


class MicroInterpreter(tflite_micro_process.MicroInterpreter):
    """The real one, but for the failure."""

    def model(self) -> MicroModel:
        _fail("model")
        return super().model()

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        _fail("invoke")
        return super().invoke(inputs)

    def fits(self, arena_bytes: int) -> bool:
        if arena_bytes < 4096:  # less than the net of the tests needs
            _fail("fits")
        return super().fits(arena_bytes)
