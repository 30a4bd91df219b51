"""Samples and batches that come one after the other, gathered so that an engine works on many at a time."""

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

__all__ = ["Item", "answer_live", "gathered", "plain_items", "raw_items"]

_NUMBERS = "fiub"  # kinds of numpy's dtypes
_MOST_SAMPLES = 4096
_MOST_BYTES = 2**24
_LULL_S = 0.002  # without a new item for so long, those that came are answered
_WAITING_S = 0.0002  # a source that takes so long for an item waits for something, and holds no lock of Python's


class Item(Struct, frozen=True):
    """What came.

    Attributes:
        arrays: ``[samples, ...]`` by input name.
        lone: Whether it was a sample without the axis of samples.
    """

    arrays: dict[str, np.ndarray]
    lone: bool

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

    def copy(self) -> Item:
        """Copy the arrays: the source of the items may fill the same memory with the next one."""
        return Item({name: array.copy() for name, array in self.arrays.items()}, self.lone)


def plain_items(items: Iterable[object], signature: Signature) -> Iterator[Item]:
    """Items of samples ``[...]`` or batches ``[samples, ...]``, or mappings from input names to such.

    Raises:
        InputError: They are not what the artifact takes. A bad item is told by the position of its first sample.
    """
    first_spec, first = signature.inputs[0], 0
    plain = len(signature.inputs) == 1 and first_spec.dtype != "string"
    sample = first_spec.shape[1:] if plain else None
    for item in items:
        if type(item) is np.ndarray and item.shape == sample and item.dtype.kind in _NUMBERS:  # as below, in less time
            yield Item({first_spec.name: item[None]}, lone=True)
            first += 1
            continue
        given = item if isinstance(item, Mapping) or len(signature.inputs) > 1 else {first_spec.name: item}
        lone = False
        if isinstance(given, Mapping):
            lone = _axes(given.get(first_spec.name)) == len(first_spec.shape) - 1
            given = {name: _as_batch(value) for name, value in given.items()} if lone else given
        arrays = shaped_by_input(given, signature, f"data from sample {first} on" if first else "data")
        yield Item(arrays, lone)
        first += len(arrays[first_spec.name])


def _axes(value: object) -> int:
    """How many axes it has; -1 for what is no regular array, and will be refused as such."""
    try:
        return np.ndim(value)  # type: ignore[arg-type]
    except ValueError:
        return -1


def _as_batch(sample: object) -> object:
    """One sample with the axis of samples; what is no array yet becomes one with its input's kind in view."""
    return np.asanyarray(sample)[None] if hasattr(sample, "dtype") else [sample]


def raw_items(items: Iterable[object], prepare: Callable[[object], dict[str, np.ndarray]]) -> Iterator[Item]:
    """Items of raw input.

    Raises:
        InputError: As `prepare`, which makes arrays of one. A bad item is told by its position.
    """
    for position, item in enumerate(items):
        try:
            yield Item(prepare(item), lone=False)
        except InputError as error:
            raise InputError(f"item {position} of the stream: {error.message}", fix=error.fix) from error


Answer = Callable[[dict[str, np.ndarray], int], dict[str, np.ndarray]]
"""A function from arrays by input name, and the position of their first sample in the whole stream, to arrays by output
name."""


def gathered(items: Iterable[Item], answer: Answer) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
    """Answer the items of a stream that ends, in order; each answer comes with whether it is to a lone sample.

    Where an item is bad, or the source fails, the answers to the items before it come first.

    Args:
        items: The stream. No more of it is held at a time than 4,096 samples or 16 MB, or one item.
        answer: The session.
    """
    waiting: list[Item] = []
    count = size = first = 0
    try:
        for item in items:
            if waiting and item.shapes != waiting[0].shapes:  # of inputs that take any size
                ready, waiting = waiting, []
                yield from _answered(ready, answer, first)
                first, count, size = first + count, 0, 0
            waiting.append(item)
            count += item.samples
            size += item.size_bytes
            if count >= _MOST_SAMPLES or size >= _MOST_BYTES:
                ready, waiting = waiting, []
                yield from _answered(ready, answer, first)
                first, count, size = first + count, 0, 0
            else:
                waiting[-1] = item.copy()
    except Exception:
        yield from _answered(waiting, answer, first)
        raise
    yield from _answered(waiting, answer, first)


def answer_live(
    items: Iterable[Item], answer: Answer, *, max_delay_s: float, latest: bool, workers: int
) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
    """Answer the items of a live stream soon after each came, as `gathered` otherwise.

    A thread takes the items from their source. Those that came are answered as soon as no other follows at once, so
    that a camera's pictures are answered one by one, and what is ready in large batches.

    Args:
        items: The stream.
        answer: The session.
        max_delay_s: Time that an item waits for others, in seconds, and about the time of one batch.
        latest: Whether all items but the newest are dropped while others are answered.
        workers: Number of samples that are answered at the same time.
    """
    reader = _Reader(items, max_delay_s=max_delay_s, latest=latest, limit=workers)

    def timed(arrays: dict[str, np.ndarray], first: int) -> dict[str, np.ndarray]:
        begun = perf_counter()
        outputs = answer(arrays, first)
        count, spent_s = len(next(iter(arrays.values()))), max(perf_counter() - begun, 1e-9)
        reader.limit = max(workers, int(count * max_delay_s / spent_s))
        return outputs

    first = 0
    try:
        while ready := reader.take():
            for some in _of_one_shape(ready):
                yield from _answered(some, timed, first)
                first += sum(item.samples for item in some)
        reader.raise_failure()
    finally:
        reader.stop()


class _Reader:
    """A thread that takes items from their source.

    It runs ahead of the session where the source waits for something. It does not where items are ready: there it
    would only compete for Python's lock.
    """

    def __init__(self, items: Iterable[Item], *, max_delay_s: float, latest: bool, limit: int) -> None:
        self.limit = limit  # samples
        self._max_delay_s = max_delay_s
        self._latest = latest
        self._changed = threading.Condition()
        self._items: list[Item] = []
        self._samples = self._bytes = 0
        self._first_s = self._last_s = 0.0  # when the oldest and the newest of them came
        self._awaited = self._ended = self._stopped = False
        self._failure: BaseException | None = None
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._read, iter(items)), name="edgeml stream", daemon=True).start()

    def take(self) -> list[Item]:
        """Wait for items; none at the end of the stream."""
        with self._changed:
            self._awaited = True
            self._changed.notify_all()
            while not self._ended and (left_s := self._left_s()) > 0:
                self._changed.wait(left_s if self._items else None)
            self._awaited = False
            items, self._items = self._items, []
            self._samples = self._bytes = 0
            return items

    def raise_failure(self) -> None:
        """Raise what the source raised."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the thread, after the item that it waits for."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _left_s(self) -> float:
        """How long to wait for more items."""
        if not self._items:
            return 1.0
        if self._latest or self._is_full():
            return 0.0
        now = monotonic()
        return min(self._first_s + self._max_delay_s, self._last_s + _LULL_S) - now

    def _is_full(self) -> bool:
        return self._samples >= min(self.limit, _MOST_SAMPLES) or self._bytes >= _MOST_BYTES

    def _read(self, items: Iterator[Item]) -> None:
        asked_s = monotonic()
        try:
            for item in items:
                came_s = monotonic()
                self._keep(item.copy(), came_s, waits=came_s - asked_s > _WAITING_S)
                if self._stopped:
                    break
                asked_s = monotonic()
        except BaseException as error:  # noqa: BLE001  # raised again by the thread that the answers go to
            self._failure = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _keep(self, item: Item, came_s: float, *, waits: bool) -> None:
        samples, size_bytes = item.samples, item.size_bytes
        with self._changed:
            if self._latest:
                self._items, self._samples, self._bytes = [], 0, 0
            self._last_s = came_s
            if not self._items:
                self._first_s = came_s
            self._items.append(item)
            self._samples += samples
            self._bytes += size_bytes
            full = self._is_full()
            if self._awaited:
                if full or len(self._items) == 1:
                    self._changed.notify_all()
                if not full:
                    return
            while not self._stopped and not self._latest and (self._is_full() or not (self._awaited or waits)):
                self._changed.wait()


def _of_one_shape(items: list[Item]) -> Iterator[list[Item]]:
    """Cut a list of items where the shape of a sample changes."""
    begin = 0
    for end in range(1, len(items) + 1):
        if end == len(items) or items[end].shapes != items[begin].shapes:
            yield items[begin:end]
            begin = end


def _answered(items: list[Item], answer: Answer, first: int) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
    if not items:
        return
    names = items[0].arrays
    try:
        outputs = answer({name: np.concatenate([item.arrays[name] for item in items]) for name in names}, first)
    except InputError:
        if len(items) == 1:
            raise
    else:
        begin = 0
        for item in items:
            end = begin + item.samples
            # Copies: a caller that keeps one answer must not keep them all.
            yield {name: array[begin:end].copy() for name, array in outputs.items()}, item.lone
            begin = end
        return
    some, others = items[: len(items) // 2], items[len(items) // 2 :]
    yield from _answered(some, answer, first)
    yield from _answered(others, answer, first + sum(item.samples for item in some))
