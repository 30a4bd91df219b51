"""What all sessions share: checks, batches, threads, quantization, labels. An engine adds how to open and run."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn, Self
from weakref import WeakSet

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.caller_inputs import arrays_by_input, shaped_by_input, values_of
from edgeml.core.decisions import DECIDED, Decision, decide
from edgeml.core.errors import EdgemlError, InputError, TargetError
from edgeml.core.placement import Placed, Placement
from edgeml.core.preprocessing import Declaration
from edgeml.core.recipe import Precision
from edgeml.core.system.machine import missing_features
from edgeml.core.tensors import Quantization, Signature, TensorSpec

from .batching import Batches, joined
from .instance import Handle
from .pool import closed_error
from .weak_method import loose

if TYPE_CHECKING:  # what not every program uses is loaded when it is used
    from .io_binding import Bound

__all__ = ["BaseSession"]

_FLOAT32 = np.dtype(np.float32)
_OUT_OF_MEMORY = ("allocat", "bad_alloc", "out of memory")
_RECHECKED_BYTES = 2**28  # of arrays that are looked through once more, to tell how many samples are bad


class BaseSession(ABC):
    """An artifact made ready on a target.

    Takes and gives floats in the source's own units, and text where an input is text, whatever the artifact's
    dtypes: inputs are encoded where the signature says so, and quantized with rounding and clipping; outputs are
    dequantized. Results are the caller's own. Safe to use from several threads at once. A context manager: at its
    end the session is closed.

    An engine overrides `_open`, `_handle` and `_placed`; `_close` where it holds more than handles; and `obstacle`,
    `_failures` where the defaults are not true of it.

    Args:
        data: The artifact's bytes.
        signature: Its tensors, as the package declares them; the engine's own account must agree.
        needs: What it needs of the machine.
        decision: The source's labels, for `classify`.
        preprocessing: How raw input becomes the values of an input, by its name.
        target: Where to run.
        threads: Cores that one call may use. None: one for a single sample, which is the fastest for small models,
            and all of this process for many samples, each on one core.
        allow_fallback: Whether operators that the target does not take may run elsewhere; `placement` tells.

    Raises:
        TargetError: The engine does not know the target, cannot load the artifact, finds other tensors in it,
            the machine lacks what it needs, or the target does not take all operators.
        MissingDependencyError: The engine is not installed.

    Example:
        >>> with package.session("tflite-int8") as session:
        ...     labels = session.classify(x)
    """

    engine: ClassVar[str]
    """The engine's name on PyPI."""
    family: str
    """Whose arithmetic it uses: sessions of one family give the same answers, up to rounding."""
    targets: ClassVar[tuple[str, ...]] = ("cpu",)
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "fp16", "dynamic", "int8", "int16x8")
    """Those that it is known to take."""
    resizes: ClassVar[bool] = False
    """Whether `_handle` may be asked for more samples at a time than the artifact takes."""
    _failures: ClassVar[tuple[type[Exception], ...]] = (ValueError, RuntimeError)
    """What the engine raises."""

    _alone: bool = False
    """Whether opening has shown that the target takes all operators; else `_placed` is asked."""

    reason: str = ""
    """Why this artifact and target were chosen; empty where the caller named both."""

    def __init__(
        self,
        data: bytes,
        signature: Signature,
        *,
        needs: Needs,
        decision: Decision | None = None,
        preprocessing: Mapping[str, Declaration] | None = None,
        target: str = "cpu",
        threads: int | None = None,
        allow_fallback: bool = False,
    ) -> None:
        if target not in self.targets:
            raise TargetError(f"{self.engine} has no target '{target}'.", fix=f"take {' or '.join(self.targets)}.")
        obstacle = self.obstacle(target)
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
        self.signature = signature
        self.decision = decision
        self.preprocessing: Mapping[str, Declaration] = dict(preprocessing or {})
        self.target = target
        self._unit = signature.inputs[0].shape[0]
        self._bound: WeakSet[Bound] = WeakSet()
        self._binding = threading.RLock()  # nothing is bound to an engine that is being closed
        self._closed = False
        self._input_name = signature.inputs[0].name
        self._output_names = [spec.name for spec in signature.outputs]
        quantized = signature.inputs[0].quantization is not None
        self._single_dtype = np.dtype(signature.inputs[0].dtype) if quantized else None
        self._open(data, needs, threads or 1)
        lone = _lone_shape(signature)
        self._single_shape = lone or (-1,)
        self._batches = Batches(
            loose(self._handle),
            signature,
            needs,
            threads=threads,
            resizes=self.resizes,
            failures=self._failures,
            fail=loose(self._fail),
        )
        self._singles = self._batches.singles
        if target != "cpu" and not allow_fallback and not self._alone:
            self._refuse_fallback()

    @classmethod
    def obstacle(cls, target: str) -> EdgemlError | None:  # noqa: ARG003  # for those that need more than their module
        """Why the target cannot be used on this machine, with what mends it; None where nothing is known against it."""
        return None

    @property
    def placement(self) -> Placement:
        """Which operators run where, from the engine's own account.

        Raises:
            TargetError: This version of the engine does not tell.

        Example:
            >>> print(session.placement)
            8 of 8 operators on cpu (XNNPACK: CONV_2D ×3, FULLY_CONNECTED ×2, MAX_POOL_2D, RESHAPE, SOFTMAX)
        """
        self._check_open()
        return Placement(self.target, self._placed())

    @property
    @abstractmethod
    def engine_version(self) -> str:
        """The engine's version."""

    @abstractmethod
    def _open(self, data: bytes, needs: Needs, threads: int) -> None:
        """Loads the artifact for lone samples on so many threads, and passes each of its tensors to `_agree`."""

    @abstractmethod
    def _placed(self) -> tuple[Placed, ...]:
        """The operators by place, from the engine's own account, as `core.placement.placed` counts them."""

    @abstractmethod
    def _handle(self, batch: int | None, threads: int) -> Handle:
        """One more use of the engine, for one thread at a time.

        Args:
            batch: Samples at a time; None for any number, where the artifact leaves its batch free.
            threads: Threads of the engine.
        """

    def _close(self) -> None:  # noqa: B027 - most engines hold nothing but handles
        """Lets go of the engine; the handles are gone already."""

    def run(
        self,
        inputs: Mapping[str, object] | Iterator[Mapping[str, object]],
        *,
        batch_size: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs any number of samples.

        Args:
            inputs: Arrays ``[samples, ...]`` by input name, in the source's own units; or an iterator of such, or
                of single samples ``[...]``.
            batch_size: Samples at a time, where the artifact leaves its batch free; by default what serves it best.
            progress: Told, in the caller's thread, how many samples are done.

        Returns:
            Arrays ``[samples, ...]`` by output name: float32, or the labels of an output that gives labels.

        Raises:
            InputError: Another set of names, another shape, not numbers, infinite, or a gap (NaN, or "" among text)
                where the model takes none.
            TargetError: The session is closed, memory does not suffice, or the engine fails.

        Example:
            >>> session.run({"image": x})["scores"].shape
            (100, 10)
        """
        if isinstance(inputs, Iterator):
            return self._whole(inputs, batch_size=batch_size, raw=False, progress=progress)
        return self._answers(inputs, batch_size=batch_size, progress=progress)

    def run_raw(self, inputs: Mapping[str, object], *, batch_size: int | None = None) -> dict[str, np.ndarray]:
        """Like `run`, but gives the outputs in the artifact's own dtypes."""
        return self._answers(inputs, batch_size=batch_size, as_is=True)

    def run_quantized(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs any number of samples from integers to integers, for callers that quantize themselves.

        Args:
            inputs: Arrays ``[samples, ...]`` by input name, in exactly the artifact's dtypes. Where the signature
                says that an input is encoded, they hold encoded values.

        Returns:
            Arrays ``[samples, ...]`` by output name, in the artifact's dtypes.

        Raises:
            InputError: The artifact takes no integers, or another set of names, another shape or dtype was given.
            TargetError: As `run`.

        Example:
            >>> session.run_quantized({"image": np.zeros((1, 96, 96, 3), np.int8)})
        """
        try:
            given = inputs.get(self._input_name) if len(inputs) == 1 else None
        except (AttributeError, TypeError):  # it is no mapping, and is looked at below
            given = None
        if type(given) is np.ndarray and given.shape == self._single_shape and given.dtype is self._single_dtype:
            lane = self._singles.take()
            try:
                return dict(zip(self._output_names, lane.bare(given), strict=True))
            except self._failures as error:
                self._fail(error)
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
        """What the source's own reference gives: probabilities, scores, values.

        Args:
            data: One array ``[samples, ...]``, which may be a memory map larger than memory; or a mapping from input
                names where there are several; or an iterator of such, or of single samples.
            batch_size: Samples at a time, where the artifact leaves its batch free; by default what serves it best.
            raw: The data are images, sound or rows, and become the model's numbers as the package declares:
                images as uint8 arrays ``[height, width, channels]`` of any size, sound as float or int16 samples
                ``[length]``, rows as mappings from column names or as sequences; or lists of these. A table may also
                be a mapping from column names to columns, or a data frame; inputs that are all columns of one table
                are given together as that table.
            progress: Told, in the caller's thread, how many samples are done.

        Returns:
            A float32 array ``[samples, ...]``, or one by output name, in the source's order, where there are
            several.

        Raises:
            InputError: As `run`, or raw data that are not what the package declares.
            TargetError: As `run`.

        Example:
            >>> session.predict(photo, raw=True)  # uint8 [480, 640, 3]
        """
        if type(data) is np.ndarray and data.shape == self._single_shape and data.dtype is _FLOAT32 and not raw:
            found = self._lone(data) if batch_size is None and progress is None else None
            if found is not None:
                return found
        if isinstance(data, Iterator):
            return self._plain(self._whole(data, batch_size=batch_size, raw=raw, progress=progress))
        given = self.prepared(data, raw=True) if raw else data
        return self._plain(self._answers(given, batch_size=batch_size, progress=progress))

    def classify(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> np.ndarray:
        """The source's own labels ``[samples]``, as its `predict` gives them.

        Args:
            data: As for `predict`. So are `batch_size`, `raw` and `progress`.
            batch_size: Samples at a time.
            raw: Whether the data are raw.
            progress: Told how many samples are done.

        Raises:
            InputError: As `predict`, or the model does not classify.
            TargetError: As `run`.
        """
        if self.decision is None:
            raise InputError("The model does not classify: it has no labels.", fix="use predict.")
        if isinstance(data, Iterator):
            outputs = self._whole(data, batch_size=batch_size, raw=raw, progress=progress)
        else:
            given = self.prepared(data, raw=True) if raw else data
            outputs = self._answers(given, batch_size=batch_size, progress=progress)
        return decide(outputs, self.signature.outputs, self.decision)

    def stream(
        self, items: Iterable[object], *, batch_size: int | None = None, raw: bool = False
    ) -> Iterator[np.ndarray | dict[str, np.ndarray]]:
        """What `predict` gives to each item of a stream without end, in its order and in bounded memory.

        Items are gathered (4,096 samples, or 16 MB of input, at most) and run on all cores, so that answers come in
        bursts; where each is awaited, call `predict` instead.

        Args:
            items: Samples ``[...]``, or batches ``[samples, ...]`` of any lengths; or mappings from input names to
                such. Raw ones are each as for `predict`.
            batch_size: Samples at a time, where the artifact leaves its batch free.
            raw: Whether the items are raw.

        Yields:
            To a sample its output ``[...]``, to a batch or raw item its outputs ``[samples, ...]``.

        Raises:
            InputError: As `predict`. A bad sample is told by its position in the whole stream, after the answers to
                the items before it.
            TargetError: As `run`.

        Example:
            >>> for scores in session.stream(camera.frames()):
            ...     log(scores)
        """
        for outputs, lone in self._streamed(items, batch_size=batch_size, raw=raw, progress=None):
            yield self._plain({name: array[0] for name, array in outputs.items()} if lone else outputs)

    def bind(self, batch: int = 1) -> Bound:
        """The engine's own memory, for a loop that copies nothing and checks nothing.

        Args:
            batch: Samples at a time, where the artifact leaves its batch free.

        Raises:
            InputError: The artifact takes another number of samples at a time.
            TargetError: The session is closed, or the artifact's shapes are not fixed.
        """
        if batch < 1 or self._unit not in {None, batch}:
            takes = f"and the artifact takes {self._unit} at a time" if self._unit else "expected at least 1"
            raise InputError(f"batch is {batch}, {takes}.")
        with self._binding:
            self._check_open()
            from .io_binding import Bound

            handle = self._handle(batch, 1)
            if not handle.outputs:
                raise TargetError(
                    "The artifact has text or shapes that are not fixed, and cannot be bound.", fix="use run."
                )
            bound = Bound(handle, self.signature)
            self._bound.add(bound)
            return bound

    def close(self) -> None:
        """Lets go of the engine and of all its memory. Any later use raises TargetError; closing again does nothing.

        Calls that run in other threads come to their end.
        """
        with self._binding:
            if self._closed:
                return
            self._closed = True
            self._batches.close()
            for bound in list(self._bound):
                bound.close()
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepared(self, data: object, *, raw: bool = False) -> dict[str, np.ndarray]:
        """Inputs as `run` takes them: float32 arrays ``[samples, ...]`` by name, made of raw ones where they are.

        Args:
            data: As for `predict`.
            raw: Whether the package's preprocessing is to be applied.

        Raises:
            InputError: The data are not what the model takes, or the package declares no preprocessing.
        """
        if raw:
            from .raw_input import of_raw

            data = of_raw(data, self.signature, self.preprocessing)
        return arrays_by_input(data, self.signature, "data")

    def _refuse_fallback(self) -> None:
        elsewhere = self.placement.elsewhere
        if elsewhere:
            self.close()
            named = ", ".join(f"{item.operator} ×{item.count} ({item.place})" for item in elsewhere)
            raise TargetError(
                f"Target '{self.target}' does not take all of the artifact; these operators would run elsewhere: "
                f"{named}.",
                fix="take another artifact or target, or allow it: allow_fallback=True.",
            )

    def _agree(
        self,
        kind: Literal["input", "output"],
        spec: TensorSpec,
        shape: tuple[int | None, ...],
        dtype: str,
        quantization: Quantization | None = None,
    ) -> None:
        """Raises TargetError where the engine's account of a tensor is not the declared one."""
        if (shape, dtype) != (spec.shape, spec.dtype):
            raise TargetError(
                f"{self.engine} finds {kind} '{spec.name}' to be {dtype} {list(shape)}, and "
                f"{spec.dtype} {list(spec.shape)} is declared."
            )
        if quantization != spec.quantization:
            raise TargetError(
                f"{self.engine} finds the quantization of {kind} '{spec.name}' to be {quantization}, and "
                f"{spec.quantization} is declared."
            )

    def _lone(self, values: np.ndarray) -> np.ndarray | None:
        """The output of one plain sample, as fast as it can be had; None where it must be looked at."""
        lane = self._singles.take()
        try:
            return lane.single(values) if lane.single is not None else None
        except self._failures as error:
            self._fail(error)
        finally:
            self._singles.give(lane)

    def _plain(self, outputs: dict[str, np.ndarray]) -> np.ndarray | dict[str, np.ndarray]:
        """What the source's reference gives of all outputs."""
        wanted = {spec.name: outputs[spec.name] for spec in self.signature.outputs if spec.meaning not in DECIDED}
        return next(iter(wanted.values())) if len(wanted) == 1 else wanted

    def _whole(
        self, items: Iterable[object], *, batch_size: int | None, raw: bool, progress: Callable[[int], object] | None
    ) -> dict[str, np.ndarray]:
        """Outputs of all items of a stream that ends."""
        parts = [part for part, _ in self._streamed(items, batch_size=batch_size, raw=raw, progress=progress)]
        if not parts:
            return self._batches.nothing(as_is=False)
        return {spec.name: joined([part[spec.name] for part in parts]) for spec in self.signature.outputs}

    def _streamed(
        self, items: Iterable[object], *, batch_size: int | None, raw: bool, progress: Callable[[int], object] | None
    ) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
        from .streaming import gathered, plain_items, raw_items

        self._check_open()

        def answer(arrays: dict[str, np.ndarray], first: int) -> dict[str, np.ndarray]:
            told = None if progress is None else lambda count: progress(first + count)
            return self._answers(arrays, batch_size=batch_size, first=first, progress=told)

        found = raw_items(items, partial(self.prepared, raw=True)) if raw else plain_items(items, self.signature)
        return gathered(found, answer)

    def _answers(
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

    def _fail(self, error: Exception) -> NoReturn:
        """Raises what stands for the engine's own exception."""
        if isinstance(error, EdgemlError):
            raise error
        told = str(error).lower()
        if isinstance(error, MemoryError) or any(words in told for words in _OUT_OF_MEMORY):
            raise TargetError(
                f"{self.engine}: memory does not suffice to run the artifact: {error}",
                fix="give a smaller batch_size, or stream the samples.",
            ) from error
        raise TargetError(f"{self.engine} {self.engine_version} failed to run the artifact: {error}") from error


def _is_count(value: object) -> bool:
    return isinstance(value, Integral) and int(value) >= 1


def _lone_shape(signature: Signature) -> tuple[int, ...] | None:
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
