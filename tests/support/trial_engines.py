"""Engines of an accelerator that there is not, which run the tiny model or fail at it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import ClassVar

from edgeml.core.artifact import Needs
from edgeml.core.engine import TinyModel
from edgeml.core.errors import EdgemlError, TargetError
from edgeml.core.tensors import Signature
from edgeml.runtimes import ArrayInstance, EngineAdapter, EngineInstance, OperatorCount, count_operators
from edgeml.runtimes.engines.tiny_models import tiny_onnx

__all__ = [
    "TRIALS",
    "Aborts",
    "AsksBadly",
    "Exits",
    "ExitsForItsModel",
    "Hangs",
    "HasNoDevice",
    "HasNoPrecisions",
    "IsKilled",
    "IsNamedByANumber",
    "LeavesItToTheCpu",
    "NoAdapter",
    "Raises",
    "RefusesModels",
    "ReturnsText",
    "ReturnsTextForItsModel",
    "Runs",
    "RunsModels",
    "Wrong",
]

TRIALS = "EDGEML_TEST_TRIALS"
"""Name of the variable that holds a file, which grows by a line each time an engine opens a model."""


class Runs(EngineAdapter):
    """Doubles, as the tiny model does."""

    name: ClassVar[str] = "onnx"
    family = "trial"
    targets: ClassVar[tuple[str, ...]] = ("trial",)
    factor = 2

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        with Path(os.environ[TRIALS]).open("a", encoding="utf-8") as file:
            file.write("opened\n")

    @classmethod
    def tiny_model(cls, target: str) -> TinyModel | None:
        return tiny_onnx()

    def instance(self, batch: int | None, threads: int) -> EngineInstance:
        return ArrayInstance(lambda values: [values[0] * self.factor])

    def placement(self) -> tuple[OperatorCount, ...]:
        return count_operators([("MatMul", "trial", True)])


class Wrong(Runs):
    """Gives other answers."""

    factor = 3


class LeavesItToTheCpu(Runs):
    """Takes no operator."""

    def placement(self) -> tuple[OperatorCount, ...]:
        return count_operators([("MatMul", "CPU", False)])


class Raises(Runs):
    """Fails as a library does."""

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        super().__init__(data, signature, needs=needs, target=target, threads=threads)
        os.write(2, b"INFO: looking\nERROR: [driver.cc:7] no device is good enough\n")
        raise RuntimeError("code 7")


class Aborts(Runs):
    """Takes the process down."""

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        super().__init__(data, signature, needs=needs, target=target, threads=threads)
        os.abort()


class Hangs(Runs):
    """Never comes back."""

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        super().__init__(data, signature, needs=needs, target=target, threads=threads)
        time.sleep(1000)


class IsKilled(Runs):
    """Is killed, as by the kernel for want of memory."""

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        super().__init__(data, signature, needs=needs, target=target, threads=threads)
        os.kill(os.getpid(), signal.SIGKILL)


class RunsModels(Runs):
    """Runs any ONNX model."""

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        super().__init__(data, signature, needs=needs, target=target, threads=threads)
        from onnxruntime import InferenceSession

        self._session = InferenceSession(data)
        self._inputs = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]

    def instance(self, batch: int | None, threads: int) -> EngineInstance:
        return ArrayInstance(
            lambda values: self._session.run(self._outputs, dict(zip(self._inputs, values, strict=True)))
        )


class HasNoDevice(RunsModels):
    """Opens no model."""

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        raise TargetError("No device of this vendor was found.", fix="plug one in.")


class RefusesModels(RunsModels):
    """Opens the tiny model only."""

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        super().__init__(data, signature, needs=needs, target=target, threads=threads)
        if data != tiny_onnx().data:
            raise RuntimeError("the driver refuses this model")


class IsNamedByANumber(Runs):
    """Has a name of the wrong type."""

    name = 7  # type: ignore[assignment]


class HasNoPrecisions(Runs):
    """Has None for its precisions."""

    precisions = None  # type: ignore[assignment]


class ReturnsText(Runs):
    """Returns text for an obstacle."""

    @classmethod
    def obstacle(cls, target: str) -> EdgemlError | None:
        return "no device"  # type: ignore[return-value]


class ReturnsTextForItsModel(Runs):
    """Returns text for its tiny model."""

    @classmethod
    def tiny_model(cls, target: str) -> TinyModel | None:
        return "tiny"  # type: ignore[return-value]


class Exits(Runs):
    """Exits when it is asked for an obstacle."""

    @classmethod
    def obstacle(cls, target: str) -> EdgemlError | None:
        raise SystemExit(5)


class ExitsForItsModel(Runs):
    """Exits when it is asked for its tiny model."""

    @classmethod
    def tiny_model(cls, target: str) -> TinyModel | None:
        raise SystemExit(5)


class AsksBadly(Runs):
    """Fails when it is asked for its model."""

    @classmethod
    def tiny_model(cls, target: str) -> TinyModel | None:
        raise KeyError(target)


class NoAdapter:
    """Has nothing of an adapter."""
