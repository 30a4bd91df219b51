"""Samples and batches that come one after the other, gathered so that an engine works on many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from msgspec import Struct

from edgeml.core.caller_inputs import shaped_by_input
from edgeml.core.errors import InputError
from edgeml.core.tensors import Signature

__all__ = ["Item", "gathered", "plain_items", "raw_items"]

_MOST_SAMPLES = 4096
_MOST_BYTES = 2**24


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


def plain_items(items: Iterable[object], signature: Signature) -> Iterator[Item]:
    """Items of samples ``[...]`` or batches ``[samples, ...]``, or mappings from input names to such.

    Raises:
        InputError: They are not what the artifact takes. A bad item is told by the position of its first sample.
    """
    first_spec, first = signature.inputs[0], 0
    for item in items:
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


def gathered(items: Iterable[Item], answer: Answer) -> Iterator[tuple[dict[str, np.ndarray], bool]]:
    """Answers to items, in their order, with whether each was a lone sample.

    Where an item is bad, or its giver fails, the answers to those before it come first.

    Args:
        items: What came; no more is held at a time than 4,096 samples or 16 MB, or one item.
        answer: From arrays, and the position of their first sample in the whole stream, to arrays by output name.
    """
    waiting: list[Item] = []
    count = size = first = 0
    try:
        for item in items:
            if waiting and _shapes(item) != _shapes(waiting[0]):  # of inputs that take any size
                ready, waiting = waiting, []
                yield from _answered(ready, answer, first)
                first, count, size = first + count, 0, 0
            waiting.append(item)
            count += item.samples
            size += sum(array.nbytes for array in item.arrays.values())
            if count >= _MOST_SAMPLES or size >= _MOST_BYTES:
                ready, waiting = waiting, []
                yield from _answered(ready, answer, first)
                first, count, size = first + count, 0, 0
            else:  # a copy: whoever gives the items may fill the same memory with the next one
                waiting[-1] = Item({name: array.copy() for name, array in item.arrays.items()}, item.lone)
    except Exception:
        yield from _answered(waiting, answer, first)
        raise
    yield from _answered(waiting, answer, first)


def _shapes(item: Item) -> list[tuple[int, ...]]:
    return [array.shape[1:] for array in item.arrays.values()]


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
