"""What is kept of a failed recipe: the captured log, and a script that does it again in plain sight."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgeml._version import __version__
from edgeml.core.artifact import Refusal
from edgeml.package import Failure
from edgeml.package.arrays import encode_npz
from edgeml.pipeline.conversion import Conversion, ConversionSettings
from edgeml.pipeline.data import save_arrays
from edgeml.pipeline.model import ModelFile
from edgeml.pipeline.proof import Proof, ProofSettings

__all__ = ["failure_of", "reproduce", "shared_files"]

_SCRIPT = '''"""Reproduces, in this process and in plain sight, why edgeml {version} did not make {recipe}:

{reason}

Needs: pip install 'edgeml[all]=={version}'
"""

from pathlib import Path

from edgeml.pipeline.failures import reproduce

reproduce(Path(__file__).resolve().parent.parent, framework={framework!r}, recipe={recipe!r}, batch={batch!r})
'''


def failure_of(refusal: Refusal, file: ModelFile, batch: int | None) -> Failure:
    """The files that are kept for a recipe that failed."""
    reason = refusal.reason.replace("\\", "/").replace('"""', "'''")
    script = _SCRIPT.format(
        version=__version__, recipe=refusal.recipe, reason=reason, framework=file.framework, batch=batch
    )
    return Failure(
        refusal.recipe,
        {"log.txt": f"{refusal.reason}\n\n{refusal.log}".encode(), "reproduce.py": script.encode()},
    )


def shared_files(
    file: ModelFile, inputs: Mapping[str, np.ndarray], calibration: Mapping[str, np.ndarray] | None
) -> dict[str, bytes]:
    """What all scripts need: the model, the data it was judged on, the calibration data."""
    shared = {f"source{file.path.suffix}": file.path.read_bytes(), "judged.npz": encode_npz(inputs)}
    if calibration:
        shared["calibration.npz"] = encode_npz(calibration)
    return shared


def reproduce(folder: Path, *, framework: str, recipe: str, batch: int | None) -> None:
    """Converts and runs one recipe in this process, from what a failed build has kept.

    Args:
        folder: The ``PKG.failed`` folder.
        framework: ``keras`` or ``sklearn``.
        recipe: Id of the recipe.
        batch: The artifact's fixed batch, or None.
    """
    (model,) = folder.glob("source.*")
    with tempfile.TemporaryDirectory(prefix="edgeml-") as temporary:
        work = Path(temporary)
        conversion = Conversion(ConversionSettings(framework, model, work, batch))
        files = {
            name: save_arrays(dict(np.load(folder / f"{name}.npz")), work / name)
            for name in ("calibration", "judged")
            if (folder / f"{name}.npz").exists()
        }
        artifact = conversion.convert(recipe, files.get("calibration", {}))
        Proof(ProofSettings(files["judged"], measure=False)).run(artifact)
    print(f"{recipe} was made and ran: the failure did not come again.")  # noqa: T201  # a script's last word
