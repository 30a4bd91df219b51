"""The session on an engine: checks, batches, threads, quantization, labels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Literal, NoReturn, Self, overload
from weakref import WeakSet

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.caller_inputs import arrays_by_input, shaped_by_input, values_of
from edgeml.core.decisions import DECIDED, Decider, Decision, Ranking
from edgeml.core.engine import EngineAdapter
from edgeml.core.errors import InputError, TargetError
from edgeml.core.placement import Placement
from edgeml.core.preprocessing import Declaration
from edgeml.core.session import Session
from edgeml.core.system.machine import missing_features
from edgeml.core.tensors import Label, Signature

from .batching import Batches, joined
from .pool import closed_error

if TYPE_CHECKING:  # what not every program uses is loaded when it is used
    from .io_binding import Bound

__all__ = ["EngineSession", "open_session"]

_FLOAT32 = np.dtype(np.float32)
_RECHECKED_BYTES = 2**28  # of arrays that are looked through once more, to tell how many samples are bad


def open_session(
    engine: type[EngineAdapter],
    data: bytes,
    signature: Signature,
    *,
    needs: Needs,
    decision: Decision | None = None,
    preprocessing: Mapping[str, Declaration] | None = None,
    target: str = "cpu",
    threads: int | None = None,
    allow_fallback: bool = False,
) -> EngineSession:
    """Open a session by an engine, as `core.session.SessionOpener` describes."""
    if target not in engine.targets:
        raise TargetError(f"{engine.name} has no target '{target}'.", fix=f"take {' or '.join(engine.targets)}.")
    obstacle = engine.obstacle(target)
    if obstacle is not None:
        raise obstacle
    if threads is not None and not _is_count(threads):
        raise InputError(f"threads is {threads!r}, expected a whole number, at least 1.")
    threads = None if threads is None else int(threads)
    lacking = missing_features(needs.cpu_features)
    if lacking:
        raise TargetError(
            f"The artifact gives other answers on CPUs without {', '.join(lacking)}, and this is one.",
            fix="use an artifact without that need, or build the package on a CPU like this one.",
        )
    adapter = engine(data, signature, needs=needs, target=target, threads=threads or 1)
    if target != "cpu" and not allow_fallback and not adapter.takes_all:
        _refuse_fallback(adapter, target)
    return EngineSession(
        adapter, signature, needs=needs, decision=decision, preprocessing=preprocessing, target=target, threads=threads
    )


def _refuse_fallback(adapter: EngineAdapter, target: str) -> None:
    elsewhere = Placement(target, adapter.placement()).elsewhere
    if elsewhere:
        adapter.close()
        named = ", ".join(f"{item.operator} ×{item.count} ({item.place})" for item in elsewhere)
        raise TargetError(
            f"Target '{target}' does not take all of the artifact; these operators would run elsewhere: {named}.",
            fix="take another artifact or target, or allow it: allow_fallback=True.",
        )


class EngineSession(Session):
    """An artifact made ready on a target by an engine. Its methods are documented by `core.session.Session`.

    Args:
        adapter: The artifact as the engine holds it; the session closes it.
        signature: The artifact's tensors.
        needs: What it needs of the machine.
        decision: The source's labels.
        preprocessing: How raw input becomes the values of an input, by its name.
        target: Where it runs.
        threads: Cores that one call may use; None for one for a single sample, and all for many.
    """

    def __init__(
        self,
        adapter: EngineAdapter,
        signature: Signature,
        *,
        needs: Needs,
        decision: Decision | None,
        preprocessing: Mapping[str, Declaration] | None,
        target: str,
        threads: int | None,
    ) -> None:
        self.signature = signature
        self.decision = decision
        self.preprocessing = dict(preprocessing or {})
        self.target = target
        self.reason = ""
        self._adapter = adapter
        self._errors: tuple[type[Exception], ...] = (MemoryError, *adapter.errors)
        self._decider = Decider(signature.outputs, decision) if decision is not None else None
        self._unit = signature.inputs[0].shape[0]
        self._bound: WeakSet[Bound] = WeakSet()
        self._binding = threading.RLock()  # nothing is bound to an engine that is being closed
        self._closed = False
        self._input_name = signature.inputs[0].name
        self._output_names = [spec.name for spec in signature.outputs]
        plain = [i for i, spec in enumerate(signature.outputs) if spec.meaning not in DECIDED]
        self._plain_output = plain[0] if len(plain) == 1 else None
        quantized = signature.inputs[0].quantization is not None
        self._single_dtype = np.dtype(signature.inputs[0].dtype) if quantized else None
        self._single_shape = _single_shape(signature) or (-1,)
        self._sample_shape = self._single_shape[1:] if self._single_shape != (-1,) else None
        self._batches = Batches(adapter, signature, needs, threads=threads)
        self._singles, self._small = self._batches.singles, self._batches.small

    def __repr__(self) -> str:
        from .description import session_text

        return session_text(self)

    def _repr_html_(self) -> str:
        from .description import session_html

        return session_html(self)

    @property
    def labels(self) -> tuple[Label, ...] | None:
        return self.decision.labels if self.decision is not None else None

    @property
    def engine(self) -> str:
        return self._adapter.name

    @property
    def engine_version(self) -> str:
        return self._adapter.version

    @property
    def family(self) -> str:
        return self._adapter.family

    @property
    def placement(self) -> Placement:
        self._check_open()
        return Placement(self.target, self._adapter.placement())

    @property
    def arena_bytes(self) -> int | None:
        self._check_open()
        return self._adapter.arena_bytes()

    def run(
        self,
        inputs: Mapping[str, object] | Iterator[Mapping[str, object]],
        *,
        batch_size: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, np.ndarray]:
        if type(inputs) is dict and len(inputs) == 1 and batch_size is None and progress is None:
            answers = self._answer_few(inputs.get(self._input_name))
            if answers is not None:
                return dict(zip(self._output_names, answers, strict=True))
        if isinstance(inputs, Iterator):
            return self._answer_stream(inputs, batch_size=batch_size, raw=False, progress=progress)
        return self._answer(inputs, batch_size=batch_size, progress=progress)

    def run_raw(self, inputs: Mapping[str, object], *, batch_size: int | None = None) -> dict[str, np.ndarray]:
        return self._answer(inputs, batch_size=batch_size, as_is=True)

    def run_quantized(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            given = inputs.get(self._input_name) if len(inputs) == 1 else None
        except (AttributeError, TypeError):  # it is no mapping, and is looked at below
            given = None
        if type(given) is np.ndarray and given.shape == self._single_shape and given.dtype is self._single_dtype:
            lane = self._singles.take()
            try:
                return dict(zip(self._output_names, lane.bare(given), strict=True))
            except self._adapter.errors as error:
                self._batches.fail(error)
            finally:
                self._singles.give(lane)
        floats = [spec.name for spec in self.signature.inputs if spec.quantization is None]
        if floats:
            raise InputError(f"The artifact takes no integers as '{floats[0]}'.", fix="use run, or predict.")
        self._check_open()
        arrays = shaped_by_input(inputs, self.signature, "data")
        for spec in self.signature.inputs:
            if arrays[spec.name].dtype != spec.dtype:
                raise InputError(
                    f"data, input '{spec.name}': got dtype {arrays[spec.name].dtype}, expected {spec.dtype}."
                )
        return self._batches.run(arrays, None, as_is=True)

    def predict(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> np.ndarray | dict[str, np.ndarray]:
        if self._plain_output is not None and not raw and batch_size is None and progress is None:
            answers = self._answer_few(data)  # at once, for a call less
            if answers is not None:
                return answers[self._plain_output]
        return self._plain(self._outputs(data, batch_size=batch_size, raw=raw, progress=progress))

    @overload
    def classify(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
        scores: Literal[False] = False,
    ) -> np.ndarray: ...

    @overload
    def classify(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
        scores: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def classify(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
        scores: bool = False,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        decider = self._decider or self._refuse_labels()
        plainly = not raw and batch_size is None and progress is None
        outputs = self._answer_few(data) if plainly else None
        if outputs is None:
            outputs = self._outputs(data, batch_size=batch_size, raw=raw, progress=progress)
        if not scores:
            return decider.labels(outputs)
        found = decider.top(outputs, 1)
        return found.labels[:, 0], found.scores[:, 0]

    def top(self, data: object, k: int = 1, *, batch_size: int | None = None, raw: bool = False) -> Ranking:
        if type(k) is not int or k < 1:
            if not _is_count(k):
                raise InputError(f"k is {k!r}, expected a whole number, at least 1.")
            k = int(k)
        decider = self._decider or self._refuse_labels()
        outputs = self._answer_few(data) if not raw and batch_size is None else None
        if outputs is None:
            outputs = self._outputs(data, batch_size=batch_size, raw=raw, progress=None)
        return decider.top(outputs, k)

    def stream(
        self,
        items: Iterable[object],
        *,
        batch_size: int | None = None,
        raw: bool = False,
        max_delay_ms: float | None = 20.0,
        latest: bool = False,
    ) -> Iterator[np.ndarray | dict[str, np.ndarray]]:
        if max_delay_ms is not None and not max_delay_ms >= 0:
            raise InputError(f"max_delay_ms is {max_delay_ms!r}, expected a number of at least 0, or None.")
        if latest and max_delay_ms is None:
            raise InputError("latest needs a bound in time.", fix="leave max_delay_ms out.")
        answered = self._answer_items(
            items, batch_size=batch_size, raw=raw, progress=None, max_delay_ms=max_delay_ms, latest=latest
        )
        return (
            self._plain([array[0] for array in outputs.values()] if lone else list(outputs.values()))
            for outputs, lone in answered
        )

    def bind(self, batch: int = 1) -> Bound:
        if batch < 1 or self._unit not in {None, batch}:
            takes = f"and the artifact takes {self._unit} at a time" if self._unit else "expected at least 1"
            raise InputError(f"batch is {batch}, {takes}.")
        with self._binding:
            self._check_open()
            from .io_binding import Bound

            instance = self._adapter.instance(batch, 1)
            if not instance.outputs:
                raise TargetError(
                    "The artifact has text or shapes that are not fixed, and cannot be bound.", fix="use run."
                )
            bound = Bound(instance, self.signature)
            self._bound.add(bound)
            return bound

    def close(self) -> None:
        with self._binding:
            if self._closed:
                return
            self._closed = True
            self._batches.close()
            for bound in list(self._bound):
                bound.close()
            self._adapter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self, data: object, *, raw: bool = False) -> dict[str, np.ndarray]:
        if raw:
            from .raw_input import preprocess

            data = preprocess(data, self.signature, self.preprocessing)
        return arrays_by_input(data, self.signature, "data")

    def _refuse_labels(self) -> NoReturn:
        raise InputError("The model does not classify: it has no labels.", fix="use predict.")

    def _refuse_path(self, path: object) -> NoReturn:
        fix = "pass raw=True." if self.preprocessing else "pass the arrays: np.load(path)."
        raise InputError(f"data: got {str(path)[:80]!r}, expected arrays.", fix=fix)

    def _answer_few(self, data: object) -> list[np.ndarray] | None:
        """The outputs of one plain sample, or of a few, as fast as they can be had; None where they must be looked at.

        Only artifacts with one input and one output of fixed shape have a way to them.
        """
        if type(data) is not np.ndarray or data.dtype is not _FLOAT32:
            return None
        shape = data.shape
        if shape == self._single_shape:
            lane = self._singles.take()
            try:
                return lane.few(data) if lane.few is not None else None
            except self._adapter.errors as error:
                self._batches.fail(error)
            finally:
                self._singles.give(lane)
        if shape[1:] == self._sample_shape and shape:
            try:
                return self._small.answer(data)
            except self._errors as error:
                self._batches.fail(error)
        return None

    def _outputs(
        self, data: object, *, batch_size: int | None, raw: bool, progress: Callable[[int], object] | None
    ) -> list[np.ndarray]:
        """The outputs in the signature's order, in the source's units."""
        if not raw and (type(data) is str or hasattr(data, "__fspath__")):
            self._refuse_path(data)
        if isinstance(data, Iterator):
            outputs = self._answer_stream(data, batch_size=batch_size, raw=raw, progress=progress)
            return list(outputs.values())
        if raw:
            arrays = self.prepare(data, raw=True)
            data = arrays if len(arrays) > 1 else arrays[self._input_name]
        if batch_size is None and progress is None:
            answers = self._answer_few(data)
            if answers is not None:
                return answers
        return list(self._answer(data, batch_size=batch_size, progress=progress).values())

    def _plain(self, outputs: Sequence[np.ndarray]) -> np.ndarray | dict[str, np.ndarray]:
        """What the source's reference gives of all outputs."""
        if self._plain_output is not None:
            return outputs[self._plain_output]
        pairs = zip(self.signature.outputs, outputs, strict=True)
        return {spec.name: output for spec, output in pairs if spec.meaning not in DECIDED}

    def _answer_stream(
        self, items: Iterable[object], *, batch_size: int | None, raw: bool, progress: Callable[[int], object] | None
    ) -> dict[str, np.ndarray]:
        """Outputs of all items of a stream that ends."""
        answered = self._answer_items(items, batch_size=batch_size, raw=raw, progress=progress)
        parts = [part for part, _ in answered]
        if not parts:
            return self._batches.nothing(as_is=False)
        return {spec.name: joined([part[spec.name] for part in parts]) for spec in self.signature.outputs}

    def _answer_items(
        self,
        items: Iterable[object],
        *,
        batch_size: int | None,
        raw: bool,
        progress: Callable[[int], object] | None,
        max_delay_ms: float | None = None,
        latest: bool = False,
    ) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
        from .streaming import answer_live, gathered, plain_items, raw_items

        self._check_open()

        def answer(arrays: dict[str, np.ndarray], first: int) -> dict[str, np.ndarray]:
            told = None if progress is None else lambda count: progress(first + count)
            return self._answer(arrays, batch_size=batch_size, first=first, progress=told)

        found = raw_items(items, partial(self.prepare, raw=True)) if raw else plain_items(items, self.signature)
        if max_delay_ms is None:
            return gathered(found, answer)
        return answer_live(found, answer, max_delay_s=max_delay_ms / 1e3, latest=latest, workers=self._batches.workers)

    def _answer(
        self,
        data: object,
        *,
        batch_size: int | None,
        as_is: bool = False,
        first: int = 0,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, np.ndarray]:
        """Outputs by name, in the source's units, or as they are in the artifact's."""
        if batch_size is not None:
            if not _is_count(batch_size):
                raise InputError(f"batch_size is {batch_size!r}, expected a whole number, at least 1.")
            batch_size = int(batch_size)  # numpy's own overflow
        self._check_open()
        arrays = shaped_by_input(data, self.signature, "data")
        specs = self.signature.inputs

        def check(array: np.ndarray, i: int, begin: int) -> np.ndarray:
            return values_of(array, specs[i], "data", first=first + begin)

        try:
            return self._batches.run(arrays, check, batch_size=batch_size, as_is=as_is, progress=progress)
        except InputError:
            if first == 0 and sum(array.nbytes for array in arrays.values()) <= _RECHECKED_BYTES:
                for spec in specs:
                    values_of(arrays[spec.name], spec, "data")  # tells of all samples that are bad
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error()


def _is_count(value: object) -> bool:
    return isinstance(value, Integral) and int(value) >= 1


def _single_shape(signature: Signature) -> tuple[int, ...] | None:
    """Shape of one sample, for artifacts that take one array of fixed shape and give one."""
    plain = [spec for spec in signature.outputs if spec.meaning not in DECIDED]
    if len(signature.inputs) > 1 or len(plain) > 1:
        return None
    batch, *sizes = signature.inputs[0].shape
    fixed = batch in {None, 1} and all(
        size is not None for spec in (*signature.inputs, *plain) for size in spec.shape[1:]
    )
    numbers = signature.inputs[0].dtype not in {"string", "float64"}
    return (1, *(size for size in sizes if size is not None)) if fixed and numbers else None
