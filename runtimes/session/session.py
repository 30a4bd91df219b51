"""The session: validation, batching, threads, quantization and labels on top of an engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, overload
from weakref import WeakSet

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.caller_inputs import arrays_by_input, shaped_by_input, values_of
from edgeml.core.decisions import DECIDED, Decider, Decision, Ranking, deciders_of
from edgeml.core.engine import EngineAdapter
from edgeml.core.errors import InputError, TargetError
from edgeml.core.placement import Placement
from edgeml.core.preprocessing import Declaration
from edgeml.core.session import MAX_THREADS, Session, StatefulSession
from edgeml.core.tensors import Label, Signature

from .assembly import assembly
from .batching import BatchScheduler, concatenate, empty_outputs
from .io_conversion import to_source
from .opening import open_adapter
from .pool import closed_error
from .sized import SizedScheduler, open_scheduler
from .steps import StepScheduler, has_state
from .unbatched import batched_instance

if TYPE_CHECKING:  # what not every program uses is loaded when it is used
    from edgeml.core.isolation import Isolation
    from edgeml.core.system.limits import Limits

    from .io_binding import IoBinding
    from .isolated_adapter import IsolatedScheduler

__all__ = ["EngineSession", "StatefulEngineSession", "open_session"]

_FLOAT32 = np.dtype(np.float32)
_RECHECKED_BYTES = 2**28  # size of arrays that are validated once more to count the bad samples


def open_session(
    engine: type[EngineAdapter],
    data: bytes,
    signature: Signature,
    *,
    needs: Needs,
    decision: Decision | Mapping[str, Decision] | None = None,
    preprocessing: Mapping[str, Declaration] | None = None,
    target: str = "cpu",
    threads: int | None = None,
    allow_fallback: bool = False,
    isolation: Isolation | Limits | None = None,
    sizes: Mapping[str, int] | None = None,
) -> EngineSession:
    """Open a session by an engine, as `core.session.SessionOpener` describes."""
    if threads is not None and not _is_count(threads, MAX_THREADS):
        raise InputError(f"threads is {threads!r:.80}, expected a whole number from 1 to {MAX_THREADS}.")
    threads = None if threads is None else int(threads)
    adapter: EngineAdapter
    scheduler: BatchScheduler | IsolatedScheduler | SizedScheduler | StepScheduler
    if isolation is None:
        adapter = open_adapter(
            engine, data, signature, needs=needs, target=target, threads=threads, allow_fallback=allow_fallback
        )
        adapter, signature, scheduler = open_scheduler(adapter, data, signature, needs, threads=threads, sizes=sizes)
    else:
        from .isolated_adapter import IsolatedAdapter, IsolatedScheduler

        adapter = IsolatedAdapter(
            engine,
            data,
            signature,
            needs=needs,
            target=target,
            threads=threads,
            allow_fallback=allow_fallback,
            isolation=isolation,
            sizes=sizes,
        )
        signature = adapter.signature
        scheduler = IsolatedScheduler(adapter, signature.visible, needs, in_one_call=has_state(signature, needs))
    visible = signature.visible
    return EngineSession(adapter, scheduler, visible, decision=decision, preprocessing=preprocessing, target=target)


class EngineSession(Session):
    """An artifact opened on a target by an engine. `core.session.Session` documents the methods.

    Args:
        adapter: The artifact as loaded by the engine. The session closes the adapter.
        scheduler: Runs samples by the adapter. The session closes the scheduler.
        signature: Signature of the artifact.
        decision: Decision of the source, for classifiers; of several outputs by name.
        preprocessing: Declarations of raw inputs by input name.
        target: Target that the artifact runs on.
    """

    def __init__(
        self,
        adapter: EngineAdapter,
        scheduler: BatchScheduler | IsolatedScheduler | SizedScheduler | StepScheduler,
        signature: Signature,
        *,
        decision: Decision | Mapping[str, Decision] | None,
        preprocessing: Mapping[str, Declaration] | None,
        target: str,
    ) -> None:
        self.signature = signature
        self.decision = decision
        self.preprocessing = dict(preprocessing or {})
        self.target = target
        self.reason = ""
        self._adapter = adapter
        self._errors: tuple[type[Exception], ...] = (MemoryError, *adapter.errors)
        self._assemble = assembly(signature)
        self._whole_outputs = signature.whole_outputs
        self._decider = deciders_of(self._whole_outputs, decision) if decision is not None else None
        self._unit = scheduler.unit
        self._bindings: WeakSet[IoBinding] = WeakSet()
        self._binding = threading.RLock()  # no binding is created while the engine is being closed
        self._closed = False
        self._input_name = signature.inputs[0].name
        self._output_names = [spec.name for spec in signature.outputs]
        self._whole_names = [spec.name for spec in self._whole_outputs]
        plain = [i for i, spec in enumerate(self._whole_outputs) if spec.meaning not in DECIDED]
        self._only_output = plain[0] if len(plain) == 1 else None
        quantized = signature.inputs[0].quantization is not None
        self._single_dtype = np.dtype(signature.inputs[0].dtype) if quantized else None
        self._scheduler = scheduler
        # Whether each call is a sequence of its own, so that a stream must not be cut into calls.
        self._restarts = scheduler.restarts
        self._single_shape: tuple[int, ...] = (-1,)  # of no array
        if isinstance(scheduler, BatchScheduler):  # else there is no fast path: each call goes to another process
            self._single_shape = _single_shape(signature) or (-1,)
            self._singles, self._small_batches = scheduler.singles, scheduler.small_batches
        self._sample_shape = self._single_shape[1:] if self._single_shape != (-1,) else None

    def __repr__(self) -> str:
        from .description import session_text

        return session_text(self)

    def _repr_html_(self) -> str:
        from .description import session_html

        return session_html(self)

    @property
    def labels(self) -> tuple[Label, ...] | dict[str, tuple[Label, ...]] | None:
        if isinstance(self.decision, Mapping):
            return {name: decision.labels for name, decision in self.decision.items()}
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
            outputs = self._run_fast(inputs.get(self._input_name))
            if outputs is not None:
                return dict(zip(self._whole_names, outputs, strict=True))
        if isinstance(inputs, Iterator):
            return self._run_stream(inputs, batch_size=batch_size, raw=False, progress=progress)
        return self._run_validated(inputs, batch_size=batch_size, progress=progress)

    def run_raw(self, inputs: Mapping[str, object], *, batch_size: int | None = None) -> dict[str, np.ndarray]:
        return self._run_validated(inputs, batch_size=batch_size, as_is=True)

    def run_together(self, inputs: Mapping[str, object]) -> dict[str, np.ndarray]:
        self._check_open()
        arrays, specs = shaped_by_input(inputs, self.signature, "data"), self.signature.inputs
        outputs = self._scheduler.run_together(
            arrays, lambda array, i, begin: values_of(array, specs[i], "data", first=begin)
        )
        pairs = zip(self.signature.outputs, outputs, strict=True)
        return self._whole({spec.name: to_source(output, spec) for spec, output in pairs})

    def run_quantized(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            values = inputs.get(self._input_name) if len(inputs) == 1 else None
        except (AttributeError, TypeError):  # not a mapping: refused below
            values = None
        if type(values) is np.ndarray and values.shape == self._single_shape and values.dtype is self._single_dtype:
            try:
                executor = self._singles.acquire()
                try:
                    return dict(zip(self._output_names, executor.run_raw(values), strict=True))
                finally:
                    self._singles.release(executor)
            except self._errors as error:
                self._scheduler.raise_translated(error)
        float_inputs = [spec.name for spec in self.signature.inputs if spec.quantization is None]
        if float_inputs:
            raise InputError(f"Input '{float_inputs[0]}' of the artifact is not quantized.", fix="use run or predict.")
        self._check_open()
        arrays = shaped_by_input(inputs, self.signature, "data")
        for spec in self.signature.inputs:
            if arrays[spec.name].dtype != spec.dtype:
                raise InputError(
                    f"data, input '{spec.name}': got dtype {arrays[spec.name].dtype}, expected {spec.dtype}."
                )
        return self._scheduler.run(arrays, None, as_is=True)

    def predict(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> np.ndarray | dict[str, np.ndarray]:
        if self._only_output is not None and not raw and batch_size is None and progress is None:
            outputs = self._run_fast(data)  # before the general way, to save a call
            if outputs is not None:
                return outputs[self._only_output]
        return self._source_outputs(self._compute(data, batch_size=batch_size, raw=raw, progress=progress))

    @overload
    def classify(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
        scores: Literal[False] = False,
    ) -> Any: ...

    @overload
    def classify(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
        scores: Literal[True],
    ) -> tuple[Any, Any]: ...

    def classify(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
        scores: bool = False,
    ) -> Any:
        decider = self._decider or self._refuse_labels()
        plainly = not raw and batch_size is None and progress is None
        outputs = self._run_fast(data) if plainly else None
        if outputs is None:
            outputs = self._compute(data, batch_size=batch_size, raw=raw, progress=progress)
        if isinstance(decider, Decider):
            return decider.scored_labels(outputs) if scores else decider.labels(outputs)
        by_name = dict(zip(self._whole_names, outputs, strict=True))
        if not scores:
            return {name: each.labels([by_name[name]]) for name, each in decider.items()}
        pairs = {name: each.scored_labels([by_name[name]]) for name, each in decider.items()}
        return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}

    def top(self, data: object, k: int = 1, *, batch_size: int | None = None, raw: bool = False) -> Ranking:
        if type(k) is not int or k < 1:
            if not _is_count(k):
                raise InputError(f"k is {k!r}, expected a whole number, at least 1.")
            k = int(k)
        decider = self._decider or self._refuse_labels()
        if not isinstance(decider, Decider):
            raise InputError(
                "The labels of a model with several outputs cannot be ranked at once.",
                fix="use classify, or rank the outputs of predict.",
            )
        outputs = self._run_fast(data) if not raw and batch_size is None else None
        if outputs is None:
            outputs = self._compute(data, batch_size=batch_size, raw=raw, progress=None)
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
        if not isinstance(items, Iterable):
            raise InputError(f"items: expected an iterable of samples or batches, got {type(items).__name__}.")
        if max_delay_ms is not None and not _is_duration(max_delay_ms):
            raise InputError(f"max_delay_ms is {max_delay_ms!r}, expected a number of at least 0, or None.")
        if latest and max_delay_ms is None:
            raise InputError("latest=True requires a number as max_delay_ms, got None.", fix="omit max_delay_ms.")
        results = self._run_items(
            items, batch_size=batch_size, raw=raw, progress=None, max_delay_ms=max_delay_ms, latest=latest
        )
        return (
            self._source_outputs([array[0] for array in outputs.values()] if is_single else list(outputs.values()))
            for outputs, is_single in results
        )

    def bind(self, batch: int = 1) -> IoBinding:
        if not _is_count(batch) or self._unit not in {None, batch}:
            expected = f"{self._unit}, the artifact's batch size" if self._unit else "a whole number, at least 1"
            raise InputError(f"batch is {batch!r}, expected {expected}.")
        with self._binding:
            self._check_open()
            from .io_binding import IoBinding

            if isinstance(self._scheduler, StepScheduler):
                raise TargetError("The artifact has a state and cannot be bound to memory.", fix="use stateful().")
            if self.signature.free_sizes:
                raise TargetError(
                    f"The artifact has free sizes, {', '.join(self.signature.free_sizes)}, and cannot be bound to "
                    "memory.",
                    fix="open the session for numbers of them: package.session(recipe, sizes={...}).",
                )
            try:
                instance = batched_instance(self._adapter, self.signature, int(batch), 1)
            except self._errors as error:
                self._scheduler.raise_translated(error)
            if not instance.outputs:
                raise TargetError(
                    "The artifact has text or dynamic shapes and cannot be bound to memory.", fix="use run."
                )
            binding = IoBinding(instance, self.signature)
            self._bindings.add(binding)
            return binding

    def stateful(self) -> StatefulEngineSession:
        if not isinstance(self._scheduler, StepScheduler):
            raise InputError(
                "The session does not keep a state: the model has none, or the session is isolated.",
                fix="use run or predict; or build with stateful=True, and open the session without isolated=True.",
            )
        self._check_open()
        return StatefulEngineSession(self, self._scheduler.continued())

    def close(self) -> None:
        with self._binding:
            if self._closed:
                return
            self._closed = True
            self._scheduler.close()
            for binding in list(self._bindings):
                binding.close()
            try:
                self._adapter.close()
            except self._errors as error:
                self._scheduler.raise_translated(error)

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
        raise InputError("The model is not a classifier.", fix="use predict.")

    def _refuse_path(self, path: object) -> NoReturn:
        fix = "pass raw=True." if self.preprocessing else "pass the arrays: np.load(path)."
        raise InputError(f"data: got {str(path)[:80]!r}, expected arrays.", fix=fix)

    def _run_fast(self, data: object) -> list[np.ndarray] | None:
        """Run one sample or a small batch of float32 on the fast path; None where the data must be validated first.

        Only artifacts with one input, and one output of the source, of fixed shape have a fast path.
        """
        outputs = self._run_singly(data)
        return outputs if outputs is None or self._assemble is None else self._assemble(outputs)

    def _run_singly(self, data: object) -> list[np.ndarray] | None:
        """Return the artifact's outputs in the source's units; see `_run_fast`."""
        if type(data) is not np.ndarray or data.dtype is not _FLOAT32:
            return None
        shape = data.shape
        if shape == self._single_shape:
            try:
                executor = self._singles.acquire()
                try:
                    return executor.run_batch(data) if executor.run_batch is not None else None
                finally:
                    self._singles.release(executor)
            except self._errors as error:
                self._scheduler.raise_translated(error)
        if shape[1:] == self._sample_shape and shape:
            try:
                return self._small_batches.run(data)
            except self._errors as error:
                self._scheduler.raise_translated(error)
        return None

    def _compute(
        self, data: object, *, batch_size: int | None, raw: bool, progress: Callable[[int], object] | None
    ) -> list[np.ndarray]:
        """Return the outputs in the signature's order, in the source's units."""
        if not raw and (type(data) is str or hasattr(data, "__fspath__")):
            self._refuse_path(data)
        if isinstance(data, Iterator):
            return list(self._run_stream(data, batch_size=batch_size, raw=raw, progress=progress).values())
        if raw:
            arrays = self.prepare(data, raw=True)
            data = arrays if len(arrays) > 1 else arrays[self._input_name]
        if batch_size is None and progress is None:
            outputs = self._run_fast(data)
            if outputs is not None:
                return outputs
        return list(self._run_validated(data, batch_size=batch_size, progress=progress).values())

    def _source_outputs(self, outputs: Sequence[np.ndarray]) -> np.ndarray | dict[str, np.ndarray]:
        """Select the outputs that the source's reference returns."""
        if self._only_output is not None:
            return outputs[self._only_output]
        pairs = zip(self._whole_outputs, outputs, strict=True)
        return {spec.name: output for spec, output in pairs if spec.meaning not in DECIDED}

    def _whole(self, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the source's outputs by name, from those of the artifact in the source's units."""
        if self._assemble is None:
            return outputs
        return dict(zip(self._whole_names, self._assemble(list(outputs.values())), strict=True))

    def _run_stream(
        self, items: Iterable[object], *, batch_size: int | None, raw: bool, progress: Callable[[int], object] | None
    ) -> dict[str, np.ndarray]:
        """Return the outputs of all items of a finite stream."""
        parts = [outputs for outputs, _ in self._run_items(items, batch_size=batch_size, raw=raw, progress=progress)]
        if not parts:
            return self._whole(empty_outputs(self.signature, as_is=False))
        return {name: concatenate([part[name] for part in parts]) for name in self._whole_names}

    def _run_items(
        self,
        items: Iterable[object],
        *,
        batch_size: int | None,
        raw: bool,
        progress: Callable[[int], object] | None,
        max_delay_ms: float | None = None,
        latest: bool = False,
    ) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
        from .streaming import read_items, read_raw_items, run_in_batches, run_live

        self._check_open()
        if self._restarts:
            return self._run_sequence(
                items, batch_size=batch_size, raw=raw, progress=progress, max_delay_ms=max_delay_ms, latest=latest
            )

        def run(arrays: dict[str, np.ndarray], first: int) -> dict[str, np.ndarray]:
            report = None if progress is None else lambda count: progress(first + count)
            return self._run_validated(arrays, batch_size=batch_size, first=first, progress=report)

        stream = read_raw_items(items, partial(self.prepare, raw=True)) if raw else read_items(items, self.signature)
        if max_delay_ms is None:
            return run_in_batches(stream, run)
        return run_live(stream, run, max_delay_s=max_delay_ms / 1e3, latest=latest, workers=self._scheduler.workers)

    def _run_sequence(self, items: Iterable[object], **options: Any) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
        """Run all items as the steps of one sequence."""
        with self.stateful() as sequence:
            yield from sequence._run_items(items, **options)  # noqa: SLF001  # of the same class

    def _run_validated(
        self,
        data: object,
        *,
        batch_size: int | None,
        as_is: bool = False,
        first: int = 0,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, np.ndarray]:
        """Validate data and return outputs by name: in the source's units, or with `as_is` in the artifact's dtypes."""
        if batch_size is not None:
            if not _is_count(batch_size):
                raise InputError(f"batch_size is {batch_size!r}, expected a whole number, at least 1.")
            batch_size = int(batch_size)  # so that numpy integers do not overflow
        self._check_open()
        arrays = shaped_by_input(data, self.signature, "data")
        specs = self.signature.inputs

        def check(array: np.ndarray, i: int, begin: int) -> np.ndarray:
            return values_of(array, specs[i], "data", first=first + begin)

        try:
            outputs = self._scheduler.run(arrays, check, batch_size=batch_size, as_is=as_is, progress=progress)
            return outputs if as_is else self._whole(outputs)
        except InputError:
            if first == 0 and sum(array.nbytes for array in arrays.values()) <= _RECHECKED_BYTES:
                for spec in specs:
                    values_of(arrays[spec.name], spec, "data")  # the error counts all bad samples
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error()


class StatefulEngineSession(EngineSession, StatefulSession):
    """A session of its own state, which calls continue; see `core.session.Session.stateful`.

    Args:
        session: Session of the artifact. The stateful session ends with it.
        scheduler: Runs the steps.
    """

    def __init__(self, session: EngineSession, scheduler: StepScheduler) -> None:
        super().__init__(
            session._adapter,  # noqa: SLF001  # another session of the same artifact
            scheduler,
            session.signature,
            decision=session.decision,
            preprocessing=session.preprocessing,
            target=session.target,
        )
        self._session, self._steps = session, scheduler
        self.reason = session.reason

    def reset(self) -> None:
        """Begin a new sequence, from the initial state."""
        self._check_open()
        self._steps.reset()

    def stateful(self) -> StatefulEngineSession:
        return self._session.stateful()

    def close(self) -> None:
        self._closed = True
        self._steps.close()

    def _check_open(self) -> None:
        super()._check_open()
        self._session._check_open()  # noqa: SLF001  # as above


def _is_duration(value: object) -> bool:
    return isinstance(value, Real) and float(value) >= 0


def _is_count(value: object, most: int = 2**62) -> bool:
    return isinstance(value, Integral) and 1 <= int(value) <= most


def _single_shape(signature: Signature) -> tuple[int, ...] | None:
    """Return the shape of one sample ``[1, ...]`` of artifacts with one input and one output of fixed shape."""
    plain = [spec for spec in signature.outputs if spec.meaning not in DECIDED]
    if len(signature.inputs) > 1 or len({spec.source_name for spec in plain}) > 1:
        return None
    batch, *sizes = signature.inputs[0].shape
    fixed = batch in {None, 1} and all(
        size is not None for spec in (*signature.inputs, *plain) for size in spec.shape[1:]
    )
    numbers = signature.inputs[0].dtype not in {"string", "float64"}
    return (1, *(size for size in sizes if size is not None)) if fixed and numbers else None
