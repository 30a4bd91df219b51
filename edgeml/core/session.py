"""The session protocol: an open artifact, whatever engine runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, overload

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.decisions import Decision, Ranking
from edgeml.core.placement import Placement
from edgeml.core.preprocessing import Declaration
from edgeml.core.tensors import Label, Signature

if TYPE_CHECKING:
    from edgeml.core.isolation import Isolation
    from edgeml.core.system.limits import Limits

__all__ = ["ISOLATED_TARGETS", "MAX_THREADS", "HotLoop", "Session", "SessionOpener", "StatefulSession"]

ISOLATED_TARGETS = ("cpu", "micro")
"""Targets of isolated sessions. Drivers of accelerators have memory of their own, and are not tested under limits."""

MAX_THREADS = 1024
"""Largest number of cores that a session may use."""


class HotLoop(Protocol):
    """Inputs and outputs as arrays over an engine's memory; `Session.bind` returns one."""

    @property
    def inputs(self) -> Mapping[str, np.ndarray]:
        """Arrays to write before each run, by input name."""
        ...

    @property
    def outputs(self) -> Mapping[str, np.ndarray]:
        """Arrays that each run overwrites, by output name."""
        ...

    @property
    def run(self) -> Callable[[], object]:
        """Function that runs the artifact on `inputs`."""
        ...

    def close(self) -> None:
        """Release the engine."""
        ...


class Session(Protocol):
    """An artifact that is open on a target.

    Inputs and outputs are floats in the source's own units, and text for text inputs, whatever the artifact's dtypes;
    outputs that are integers or bools in the source keep their dtype. Inputs are encoded if the signature says so, and
    quantized with rounding and clipping; outputs are dequantized. The caller owns the results. A session is safe to use
    from several threads at once. As a context manager, the session closes at the end of the block.

    Attributes:
        signature: Inputs and outputs of the artifact.
        decision: Rule by which scores become labels; of a source with several outputs a rule by output name; None if
            the source does not classify.
        preprocessing: Declarations of how raw input becomes an input's values, by input name.
        target: The target, such as ``cpu``.
        reason: Reason for the choice of artifact, target and engine; empty if the caller named artifact and target, and
            the first engine opened.

    Example:
        >>> with package.session("tflite-int8") as session:
        ...     labels = session.classify(x)
        ...     best = session.classify("photo.jpg", raw=True)
    """

    signature: Signature
    decision: Decision | Mapping[str, Decision] | None
    preprocessing: Mapping[str, Declaration]
    target: str
    reason: str

    @property
    def labels(self) -> tuple[Label, ...] | dict[str, tuple[Label, ...]] | None:
        """The source's labels, in the order of the scores; None if the source does not classify.

        Of a source with several outputs, the labels by output name.

        Example:
            >>> session.labels
            ('cat', 'dog')
        """
        ...

    @property
    def engine(self) -> str:
        """Name of the engine on PyPI."""
        ...

    @property
    def engine_version(self) -> str:
        """Version of the engine."""
        ...

    @property
    def family(self) -> str:
        """Name of the arithmetic: the outputs of sessions of one family are equal, up to rounding."""
        ...

    @property
    def placement(self) -> Placement:
        """Number and kind of the operators on each device, as reported by the engine.

        Raises:
            TargetError: This version of the engine does not report the placement.

        Example:
            >>> print(session.placement)
            8 of 8 operators on cpu (XNNPACK: CONV_2D ×3, FULLY_CONNECTED ×2, MAX_POOL_2D, RESHAPE, SOFTMAX)
        """
        ...

    @property
    def arena_bytes(self) -> int | None:
        """Memory that the artifact needs on a microcontroller; None on targets other than ``micro``."""
        ...

    def run(
        self,
        inputs: Mapping[str, object] | Iterator[Mapping[str, object]],
        *,
        batch_size: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, np.ndarray]:
        """Run any number of samples, by tensor name.

        Args:
            inputs: Arrays ``[samples, ...]`` by input name, in the source's own units; or an iterator of such
                mappings, or of mappings to single samples ``[...]``.
            batch_size: Samples per call of the engine, for artifacts with a free batch; by default the fastest.
            progress: Function that is called in the caller's thread with the number of samples that are done.

        Returns:
            Arrays ``[samples, ...]`` by output name: float32, integers or bools as in the source, or labels.

        Raises:
            InputError: Names, shapes or dtypes differ from the signature, values are infinite, or a value is missing
                (NaN, or "" among text) where the model does not accept missing values.
            TargetError: The session is closed, memory is exhausted, or the engine fails.

        Example:
            >>> session.run({"image": x})["scores"].shape
            (100, 10)
        """
        ...

    def run_raw(self, inputs: Mapping[str, object], *, batch_size: int | None = None) -> dict[str, np.ndarray]:
        """Run any number of samples, as `run` does, and return the outputs in the artifact's own dtypes."""
        ...

    def run_together(self, inputs: Mapping[str, object]) -> dict[str, np.ndarray]:
        """Run samples in one call of the engine, as other programs may; `run` chooses its batches by itself.

        Args:
            inputs: See `run`.

        Returns:
            See `run`. The answer for a sample may depend on the others.

        Raises:
            InputError: See `run`.
            TargetError: See `run`; or the engine does not take so many samples.
        """
        ...

    def run_quantized(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run any number of samples from integers to integers, for callers that quantize themselves.

        Args:
            inputs: Arrays ``[samples, ...]`` by input name, in exactly the artifact's dtypes. Inputs that the
                signature declares as encoded contain encoded values.

        Returns:
            Arrays ``[samples, ...]`` by output name, in the artifact's dtypes.

        Raises:
            InputError: The artifact's inputs are not integers, or names, shapes or dtypes differ from the signature.
            TargetError: See `run`.

        Example:
            >>> session.run_quantized({"image": np.zeros((1, 96, 96, 3), np.int8)})
        """
        ...

    def predict(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> np.ndarray | dict[str, np.ndarray]:
        """Predict as the source does: probabilities, scores or values.

        Args:
            data: One array ``[samples, ...]``, which may be a memory map larger than memory; or a mapping from input
                names for several inputs; or an iterator of such, or of single samples.
            batch_size: Samples per call of the engine, for artifacts with a free batch; by default the fastest. Those
                that quantize by the range of a whole batch, as ``onnx-dynamic`` does, run one sample per call in any
                case, so that the answer for a sample does not depend on the others.
            raw: Whether the data are raw: images, audio or rows, which are preprocessed as the package declares.
                Images are uint8 arrays ``[height, width, channels]`` of any size, audio is float or int16 samples
                ``[length]``, rows are mappings from column names, or sequences; lists of these are several samples.
                A table may also be a mapping from column names to columns, or a data frame; inputs that are all
                columns of one table are passed together as that table. Instead of an image, audio or a table, the
                path of its file (str or os.PathLike) is accepted, and instead of a list of samples a list of paths.
            progress: Function that is called in the caller's thread with the number of samples that are done.

        Returns:
            An array ``[samples, ...]``: float32, or integers or bools as in the source. For models with several outputs
            one per output name, in the source's order.

        Raises:
            InputError: See `run`; or a file does not exist, or raw data differ from the package's declaration.
            TargetError: See `run`.
            MissingDependencyError: The extra that reads a file is not installed.

        Example:
            >>> session.predict("photo.jpg", raw=True)
            >>> session.predict(["first.png", "second.png"], raw=True)
            >>> session.predict(frame, raw=True)  # uint8 [480, 640, 3]
        """
        ...

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
        """Predict the source's own labels.

        Args:
            data: See `predict`.
            batch_size: See `predict`.
            raw: See `predict`.
            progress: See `predict`.
            scores: Whether to return the scores of the labels too.

        Returns:
            The labels, of which the form depends on the task: one per sample, ``[samples]``; of a multi-label model
            bool ``[samples, labels]`` in the order of `labels`; of a model with a label per step ``[samples, steps]``;
            of a segmentation model masks ``[samples, height, width]``, of the labels where these are numbers, else of
            their positions in `labels`. An array; of a model with several outputs a dict of arrays by output name.
            With `scores`, the labels and their scores, float32 of the same shape; for one label per sample as described
            by `top`.

        Raises:
            InputError: See `predict`; or the model does not classify.
            TargetError: See `run`.

        Example:
            >>> labels = session.classify("photo.jpg", raw=True)
            >>> labels, scores = session.classify(x, scores=True)
        """
        ...

    def top(self, data: object, k: int = 1, *, batch_size: int | None = None, raw: bool = False) -> Ranking:
        """Return the best labels and their scores.

        The first label is the label that `classify` returns; the others follow by their scores. In a model with a
        single score for two labels, the score belongs to the second label; the first label's score is 1 minus it for
        probabilities, else its mirror image at the threshold.

        Args:
            data: See `predict`.
            k: Labels per sample; all labels if there are fewer.
            batch_size: See `predict`.
            raw: See `predict`.

        Raises:
            InputError: See `classify`; or `k` is not an integer of at least 1.
            TargetError: See `run`.

        Example:
            >>> labels, scores = session.top(x, 3)
        """
        ...

    def stream(
        self,
        items: Iterable[object],
        *,
        batch_size: int | None = None,
        raw: bool = False,
        max_delay_ms: float | None = 20.0,
        latest: bool = False,
    ) -> Iterator[np.ndarray | dict[str, np.ndarray]]:
        """Predict each item of an endless stream, in order and in bounded memory.

        Items that arrive close together are predicted together, on all cores. A thread reads the items from their
        source; the thread ends after the item that it waits for.

        Args:
            items: Samples ``[...]``, or batches ``[samples, ...]`` of any lengths; or mappings from input names to
                these. Raw items are each as for `predict`.
            batch_size: See `predict`.
            raw: See `predict`.
            max_delay_ms: Time in milliseconds that an item may wait for others; larger batches are faster per item.
                None collects items without a time limit, up to 4,096 samples or 16 MB of input, and reads the items
                in the caller's own thread.
            latest: Whether to predict only the newest item, and to drop items that arrived before it during a
                prediction: for a camera that is faster than the model.

        Yields:
            The output ``[...]`` of a sample, or the outputs ``[samples, ...]`` of a batch or raw item.

        Raises:
            InputError: See `predict`. The message names an invalid sample by its position in the whole stream; the
                items before it are yielded first.
            TargetError: See `run`.

        Example:
            >>> for scores in session.stream(camera.frames()):
            ...     log(scores)
        """
        ...

    def bind(self, batch: int = 1) -> HotLoop:
        """Return arrays over the engine's own memory, for a loop without copies and checks.

        Args:
            batch: Samples per run, for artifacts with a free batch that do not quantize by the range of a whole batch.

        Raises:
            InputError: The artifact has another fixed batch.
            TargetError: The session is closed or isolated, or the artifact's shapes are not fixed.

        Example:
            >>> loop = session.bind()
            >>> loop.inputs["image"][...] = frame
            >>> loop.run()
            >>> loop.outputs["scores"]
        """
        ...

    def stateful(self) -> StatefulSession:
        """Return a session whose calls continue one sequence, of a model that was packaged with a state.

        In other sessions of such a model each call is a sequence of its own, which begins at the initial state, and the
        samples are its steps. Each stateful session has a state of its own, and threads may use several at once.

        Raises:
            InputError: The model does not keep a state, or the session is isolated.
            TargetError: The session is closed.

        Example:
            >>> with session.stateful() as stream:
            ...     for chunk in microphone:
            ...         score = stream.predict(chunk[None])
            ...     stream.reset()
        """
        ...

    def close(self) -> None:
        """Release the engine and all its memory; later calls raise TargetError, except of `close` itself.

        Calls that run in other threads are completed first.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def prepare(self, data: object, *, raw: bool = False) -> dict[str, np.ndarray]:
        """Convert data to the inputs of `run`: arrays ``[samples, ...]`` by input name, float32 or whole numbers.

        Args:
            data: See `predict`.
            raw: Whether to apply the package's preprocessing.

        Raises:
            InputError: The data do not fit the model, or the package does not declare preprocessing.
        """
        ...


class StatefulSession(Session, Protocol):
    """A session that keeps the state of a sequence from call to call."""

    def reset(self) -> None:
        """Begin a new sequence, from the initial state.

        Raises:
            TargetError: The session is closed.
        """
        ...


class SessionOpener(Protocol):
    """A function that opens sessions on an engine."""

    def __call__(
        self,
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
    ) -> Session:
        """Open a session.

        Args:
            data: Bytes of the model file.
            signature: Inputs and outputs as the package declares them; the model file must have the same.
            needs: Requirements of the artifact.
            decision: Rule by which scores become labels, for `classify`; of several outputs by name.
            preprocessing: Declarations of how raw input becomes an input's values, by input name.
            target: The target.
            threads: Cores that one call may use. None: one core for a single sample, which is the fastest for small
                models, and all cores of this process for many samples, each sample on one core.
            allow_fallback: Whether operators that the target does not support may run elsewhere; `placement` lists
                them.
            isolation: A child process that runs the artifact, which sessions share, or the limits of one of its own;
                None to run the artifact in this process.
            sizes: A number for each free size, by name, so that the session has fixed sizes; None to leave them free.

        Raises:
            InputError: `sizes` are not the free sizes of the artifact.
            IsolationError: The artifact crashed the child process, or exceeded a limit.
            TargetError: The engine does not support the target, cannot load the artifact, reports other tensors, the
                machine does not meet the needs, or the target does not support all operators.
            MissingDependencyError: The engine is not installed.
        """
        ...
