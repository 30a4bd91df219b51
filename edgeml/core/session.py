"""A session: what every artifact can do once it is open, whatever engine runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, Protocol, Self, overload

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.decisions import Decision, Ranking
from edgeml.core.placement import Placement
from edgeml.core.preprocessing import Declaration
from edgeml.core.tensors import Signature

__all__ = ["HotLoop", "Session", "SessionOpener"]


class HotLoop(Protocol):
    """Inputs and outputs as arrays over an engine's memory. `Bound` in `edgeml.runtimes` documents it."""

    @property
    def inputs(self) -> Mapping[str, np.ndarray]:
        """Written to before each run."""
        ...

    @property
    def outputs(self) -> Mapping[str, np.ndarray]:
        """Overwritten by each run."""
        ...

    @property
    def run(self) -> Callable[[], object]:
        """Runs."""
        ...

    def close(self) -> None:
        """Lets go of the engine."""
        ...


class Session(Protocol):
    """An artifact made ready on a target.

    Takes and gives floats in the source's own units, and text where an input is text, whatever the artifact's
    dtypes: inputs are encoded where the signature says so, and quantized with rounding and clipping; outputs are
    dequantized. Results are the caller's own. Safe to use from several threads at once. A context manager: at its
    end the session is closed.

    Attributes:
        signature: The artifact's tensors.
        decision: The source's labels; None where it does not classify.
        preprocessing: How raw input becomes the values of an input, by its name.
        target: Where it runs.
        reason: Why this artifact and target were chosen; empty where the caller named both.

    Example:
        >>> with package.session("tflite-int8") as session:
        ...     labels = session.classify(x)
    """

    signature: Signature
    decision: Decision | None
    preprocessing: Mapping[str, Declaration]
    target: str
    reason: str

    @property
    def engine(self) -> str:
        """The engine's name on PyPI."""
        ...

    @property
    def engine_version(self) -> str:
        """The engine's version."""
        ...

    @property
    def family(self) -> str:
        """The name of the arithmetic: sessions of one family give the same answers, up to rounding."""
        ...

    @property
    def placement(self) -> Placement:
        """Which operators run where, from the engine's own account.

        Raises:
            TargetError: This version of the engine does not tell.

        Example:
            >>> print(session.placement)
            8 of 8 operators on cpu (XNNPACK: CONV_2D ×3, FULLY_CONNECTED ×2, MAX_POOL_2D, RESHAPE, SOFTMAX)
        """
        ...

    @property
    def arena_bytes(self) -> int | None:
        """Memory that a microcontroller needs for the artifact; None but on target ``micro``."""
        ...

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
        ...

    def run_raw(self, inputs: Mapping[str, object], *, batch_size: int | None = None) -> dict[str, np.ndarray]:
        """Like `run`, but gives the outputs in the artifact's own dtypes."""
        ...

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
        ...

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
        """The source's own labels ``[samples]``, as its `predict` gives them.

        Args:
            data: As for `predict`. So are `batch_size`, `raw` and `progress`.
            batch_size: Samples at a time.
            raw: Whether the data are raw.
            progress: Told how many samples are done.
            scores: Whether to give the labels' scores too, of the same run.

        Returns:
            The labels; with `scores`, the labels and their scores, float32 ``[samples]``, as `top` tells of them.

        Raises:
            InputError: As `predict`, or the model does not classify.
            TargetError: As `run`.

        Example:
            >>> label, score = session.classify(x, scores=True)
        """
        ...

    def top(self, data: object, k: int = 1, *, batch_size: int | None = None, raw: bool = False) -> Ranking:
        """The best labels and their scores, of one run.

        The first label is the one that `classify` gives; the others follow by their scores. A model with one score
        for two labels has that score for the second label, and for the first one minus it where scores are
        probabilities, else its mirror image at the threshold.

        Args:
            data: As for `predict`. So are `batch_size` and `raw`.
            k: Labels of each sample; all where there are fewer.
            batch_size: Samples at a time.
            raw: Whether the data are raw.

        Raises:
            InputError: As `classify`, or `k` is no whole number of at least 1.
            TargetError: As `run`.

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
        """What `predict` gives to each item of a stream without end, in its order and in bounded memory.

        Each item is answered soon after it came: with those that came with it, on all cores. A thread takes the items
        from their source, which is let go of after the item that it waits for.

        Args:
            items: Samples ``[...]``, or batches ``[samples, ...]`` of any lengths; or mappings from input names to
                such. Raw ones are each as for `predict`.
            batch_size: Samples at a time, where the artifact leaves its batch free.
            raw: Whether the items are raw.
            max_delay_ms: How long an item may wait for others, in milliseconds: the most is gained where items are
                ready. None gathers without a bound in time, up to 4,096 samples or 16 MB of input, and takes the
                items in the caller's own thread.
            latest: Whether the newest item alone is answered, and those that came before it while others were
                answered are dropped: for a camera that is faster than the model.

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
        ...

    def bind(self, batch: int = 1) -> HotLoop:
        """The engine's own memory, for a loop that copies nothing and checks nothing.

        Args:
            batch: Samples at a time, where the artifact leaves its batch free.

        Raises:
            InputError: The artifact takes another number of samples at a time.
            TargetError: The session is closed, or the artifact's shapes are not fixed.
        """
        ...

    def close(self) -> None:
        """Lets go of the engine and of all its memory. Any later use raises TargetError; closing again does nothing.

        Calls that run in other threads come to their end.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def prepared(self, data: object, *, raw: bool = False) -> dict[str, np.ndarray]:
        """Inputs as `run` takes them: float32 arrays ``[samples, ...]`` by name, made of raw ones where they are.

        Args:
            data: As for `predict`.
            raw: Whether the package's preprocessing is to be applied.

        Raises:
            InputError: The data are not what the model takes, or the package declares no preprocessing.
        """
        ...


class SessionOpener(Protocol):
    """What opens sessions on one engine and target."""

    def __call__(
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
    ) -> Session:
        """Open a session.

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
        """
        ...
