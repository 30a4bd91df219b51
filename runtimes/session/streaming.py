"""Streams of samples and batches, collected into larger batches for the engine."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic, perf_counter

import numpy as np
from msgspec import Struct

from edgeml.core.caller_inputs import shaped_by_input
from edgeml.core.errors import InputError
from edgeml.core.tensors import Signature

__all__ = ["StreamItem", "read_items", "read_raw_items", "run_in_batches", "run_live"]

_NUMBERS = "fiub"  # kinds of numpy's dtypes
_MOST_SAMPLES = 4096
_MOST_BYTES = 2**24
_LULL_S = 0.002  # the pending items run when no new one arrives for this long
_WAITING_S = 0.0002  # a source that needs longer for an item waits for I/O, and does not hold the GIL


class StreamItem(Struct, frozen=True):
    """An item of a stream.

    Attributes:
        arrays: ``[samples, ...]`` by input name.
        is_single: Whether the item is a single sample without the batch axis.
    """

    arrays: dict[str, np.ndarray]
    is_single: bool

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.arrays.values())))

    @property
    def size_bytes(self) -> int:
        """Size of the arrays."""
        return sum([array.nbytes for array in self.arrays.values()])

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of one sample."""
        return [array.shape[1:] for array in self.arrays.values()]

    def copy(self) -> StreamItem:
        """Copy the arrays, since the source may overwrite the memory with the next item."""
        return StreamItem({name: array.copy() for name, array in self.arrays.items()}, self.is_single)


def read_items(items: Iterable[object], signature: Signature) -> Iterator[StreamItem]:
    """Read a stream of samples ``[...]`` or batches ``[samples, ...]``, or of mappings from input names to these.

    Raises:
        InputError: An item does not match the signature. The error names the position of its first sample.
    """
    first_spec, first = signature.inputs[0], 0
    plain = len(signature.inputs) == 1 and first_spec.dtype != "string"
    sample = first_spec.shape[1:] if plain else None
    for item in items:
        if type(item) is np.ndarray and item.shape == sample and item.dtype.kind in _NUMBERS:  # a shortcut
            yield StreamItem({first_spec.name: item[None]}, is_single=True)
            first += 1
            continue
        value = item if isinstance(item, Mapping) or len(signature.inputs) > 1 else {first_spec.name: item}
        is_single = False
        if isinstance(value, Mapping):
            is_single = _ndim(value.get(first_spec.name)) == len(first_spec.shape) - 1
            value = {name: _as_batch(array) for name, array in value.items()} if is_single else value
        arrays = shaped_by_input(value, signature, f"data from sample {first} on" if first else "data")
        yield StreamItem(arrays, is_single)
        first += len(arrays[first_spec.name])


def _ndim(value: object) -> int:
    """Return the number of axes; -1 for a ragged sequence, which is refused later."""
    try:
        return np.ndim(value)  # type: ignore[arg-type]
    except ValueError:
        return -1


def _as_batch(sample: object) -> object:
    """Add the batch axis to a sample; the conversion of a list to an array is left to the input's own check."""
    return np.asanyarray(sample)[None] if hasattr(sample, "dtype") else [sample]


def read_raw_items(items: Iterable[object], prepare: Callable[[object], dict[str, np.ndarray]]) -> Iterator[StreamItem]:
    """Read a stream of raw inputs.

    Raises:
        InputError: The error of `prepare`, which converts an item to arrays, with the position of the item.
    """
    for position, item in enumerate(items):
        try:
            yield StreamItem(prepare(item), is_single=False)
        except InputError as error:
            raise InputError(f"item {position} of the stream: {error.message}", fix=error.fix) from error


RunBatch = Callable[[dict[str, np.ndarray], int], dict[str, np.ndarray]]
"""A function that runs arrays by input name and returns arrays by output name. Its second argument is the position of
the first sample in the stream."""


def run_in_batches(items: Iterable[StreamItem], run: RunBatch) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
    """Run the items of a finite stream and yield, in order, the outputs and whether the item is a single sample.

    Where an item is bad, or the source fails, the outputs of the items before it are yielded first.

    Args:
        items: The stream. At most 4,096 samples or 16 MB are held at a time, or one item.
        run: Runs a batch.
    """
    pending: list[StreamItem] = []
    count = size = first = 0
    try:
        for item in items:
            if pending and item.shapes != pending[0].shapes:  # of inputs that take any size
                batch, pending = pending, []
                yield from _run_items(batch, run, first)
                first, count, size = first + count, 0, 0
            pending.append(item)
            count += item.samples
            size += item.size_bytes
            if count >= _MOST_SAMPLES or size >= _MOST_BYTES:
                batch, pending = pending, []
                yield from _run_items(batch, run, first)
                first, count, size = first + count, 0, 0
            else:
                pending[-1] = item.copy()
    except Exception:
        yield from _run_items(pending, run, first)
        raise
    yield from _run_items(pending, run, first)


def run_live(
    items: Iterable[StreamItem], run: RunBatch, *, max_delay_s: float, latest: bool, workers: int
) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
    """Run the items of a live stream soon after each arrives; otherwise as `run_in_batches`.

    A thread reads the items from their source. Pending items run as soon as no further item follows at once, so that
    the frames of a camera run one by one, and items that are ready run in large batches.

    Args:
        items: The stream.
        run: Runs a batch.
        max_delay_s: Maximum time that an item waits for others, in seconds, and about the time of one batch.
        latest: Whether all items but the newest are dropped while a batch runs.
        workers: Number of samples that run at the same time.
    """
    reader = _Reader(items, max_delay_s=max_delay_s, latest=latest, limit=workers)

    def run_timed(arrays: dict[str, np.ndarray], first: int) -> dict[str, np.ndarray]:
        begun = perf_counter()
        outputs = run(arrays, first)
        count, spent_s = len(next(iter(arrays.values()))), max(perf_counter() - begun, 1e-9)
        reader.limit = max(workers, int(min(count * max_delay_s / spent_s, _MOST_SAMPLES)))
        return outputs

    first = 0
    try:
        while batch := reader.take():
            for some in _split_by_shape(batch):
                yield from _run_items(some, run_timed, first)
                first += sum(item.samples for item in some)
        reader.raise_failure()
    finally:
        reader.stop()


class _Reader:
    """A thread that reads items from their source.

    The thread reads ahead of the session where the source waits for I/O. Where items are ready the thread does not,
    since it would only compete for the GIL.
    """

    def __init__(self, items: Iterable[StreamItem], *, max_delay_s: float, latest: bool, limit: int) -> None:
        self.limit = limit  # samples
        self._max_delay_s = max_delay_s
        self._latest = latest
        self._changed = threading.Condition()
        self._items: list[StreamItem] = []
        self._samples = self._bytes = 0
        self._first_s = self._last_s = 0.0  # arrival of the oldest and the newest pending item
        self._consumer_waits = self._ended = self._stopped = False
        self._failure: BaseException | None = None
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._read, iter(items)), name="edgeml stream", daemon=True).start()

    def take(self) -> list[StreamItem]:
        """Wait for items and return them; an empty list at the end of the stream."""
        with self._changed:
            self._consumer_waits = True
            self._changed.notify_all()
            while not self._ended and (left_s := self._time_left_s()) > 0:
                self._changed.wait(left_s if self._items else None)
            self._consumer_waits = False
            items, self._items = self._items, []
            self._samples = self._bytes = 0
            return items

    def raise_failure(self) -> None:
        """Raise the exception of the source, if any."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the thread after the item that it waits for."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _time_left_s(self) -> float:
        """Return the time to wait for more items, in seconds."""
        if not self._items:
            return 1.0
        if self._latest or self._is_full():
            return 0.0
        now = monotonic()
        return min(self._first_s + self._max_delay_s, self._last_s + _LULL_S) - now

    def _is_full(self) -> bool:
        return self._samples >= min(self.limit, _MOST_SAMPLES) or self._bytes >= _MOST_BYTES

    def _read(self, items: Iterator[StreamItem]) -> None:
        requested_s = monotonic()
        try:
            for item in items:
                arrived_s = monotonic()
                self._append(item.copy(), arrived_s, waits=arrived_s - requested_s > _WAITING_S)
                if self._stopped:
                    break
                requested_s = monotonic()
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that reads the outputs
            self._failure = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _append(self, item: StreamItem, arrived_s: float, *, waits: bool) -> None:
        samples, size_bytes = item.samples, item.size_bytes
        with self._changed:
            if self._latest:
                self._items, self._samples, self._bytes = [], 0, 0
            self._last_s = arrived_s
            if not self._items:
                self._first_s = arrived_s
            self._items.append(item)
            self._samples += samples
            self._bytes += size_bytes
            full = self._is_full()
            if self._consumer_waits:
                if full or len(self._items) == 1:
                    self._changed.notify_all()
                if not full:
                    return
            while not self._stopped and not self._latest and (self._is_full() or not (self._consumer_waits or waits)):
                self._changed.wait()


def _split_by_shape(items: list[StreamItem]) -> Iterator[list[StreamItem]]:
    """Split a list of items where the shape of a sample changes."""
    begin = 0
    for end in range(1, len(items) + 1):
        if end == len(items) or items[end].shapes != items[begin].shapes:
            yield items[begin:end]
            begin = end


def _run_items(items: list[StreamItem], run: RunBatch, first: int) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
    if not items:
        return
    names = items[0].arrays
    try:
        outputs = run({name: np.concatenate([item.arrays[name] for item in items]) for name in names}, first)
    except InputError:
        if len(items) == 1:
            raise
    else:
        begin = 0
        for item in items:
            end = begin + item.samples
            # A copy, since a caller that keeps one output must not keep the whole batch alive.
            yield {name: array[begin:end].copy() for name, array in outputs.items()}, item.is_single
            begin = end
        return
    some, others = items[: len(items) // 2], items[len(items) // 2 :]
    yield from _run_items(some, run, first)
    yield from _run_items(others, run, first + sum(item.samples for item in some))
