"""Runs TFLite Micro's own interpreter, with nothing of edgeml.

Usage: python raw_micro.py MODEL.tflite INPUTS.npy OUTPUTS.npy

INPUTS holds samples in the model's dtype. Prints the smallest arena, to 16 bytes, that the interpreter opens in.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from tflite_micro import runtime


def opens(data: bytes, arena_bytes: int) -> bool:
    """Whether the model fits into the arena."""
    try:
        runtime.Interpreter.from_bytes(data, arena_size=arena_bytes)
    except RuntimeError:
        return False
    return True


def main() -> None:
    """See the module's docstring."""
    data = Path(sys.argv[1]).read_bytes()
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 24)
    outputs = []
    for sample in np.load(sys.argv[2]):
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0))[0])
    np.save(sys.argv[3], np.stack(outputs))
    step = 1 << 23
    arena_bytes = 0
    while step >= 16:  # the largest arena that is too small, bit by bit
        if not opens(data, arena_bytes + step):
            arena_bytes += step
        step //= 2
    print(arena_bytes + 16)


if __name__ == "__main__":
    main()
