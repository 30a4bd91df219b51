"""Makes `tests/data/format1.edgeml`, the package that every later version must open, and what is known of it.

Usage: python -m tests.support.make_format1

Run once for format 1. Once it has been released the file must never change again: it is the promise.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import edgeml
from edgeml.core.system.worker import Worker
from edgeml.demo.digits import Digits, TrainerSettings

__all__ = ["FACTS", "PACKAGE"]

PACKAGE = Path(__file__).resolve().parents[1] / "data" / "format1.edgeml"
FACTS = PACKAGE.with_suffix(".json")
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
MAX_BYTES = 150_000


def main() -> None:
    """Trains, builds, saves."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Worker("edgeml.demo.digits:DigitsTrainer", TrainerSettings(folder), folder) as trainer:
            digits = trainer.call("data", returns=Digits)
            model = trainer.call("train_net", 12, returns=Path)
        package = edgeml.build(
            model,
            name="digits-format1",
            version="1.0.0",
            calibration=digits.calibration,
            evaluation=(digits.evaluation, digits.evaluation_labels),
            labels=NAMES,
            goal=edgeml.Goal(max_drop=0.02, max_size_bytes=100_000),
            recipes=["tflite-int8", "onnx-fp32"],
            measure=True,
            licence="Apache-2.0",
            author="The edgeml authors",
        )
    if package.released != ("tflite-int8", "onnx-fp32"):
        raise SystemExit(f"released: {package.released}; refused: {package.manifest.refused}")
    PACKAGE.parent.mkdir(exist_ok=True)
    package.save(PACKAGE)
    data = PACKAGE.read_bytes()
    if len(data) > MAX_BYTES:
        raise SystemExit(f"{PACKAGE.name} has {len(data)} bytes, at most {MAX_BYTES} are wanted")
    truth = [NAMES[label] for label in digits.evaluation_labels[:16]]
    facts = {
        "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
        "truth": truth,
        "labels": {
            recipe: package.session(recipe).classify(digits.evaluation[:16]).tolist() for recipe in package.released
        },
    }
    FACTS.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
