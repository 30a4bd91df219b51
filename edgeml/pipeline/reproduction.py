"""Files that are kept for failed recipes: the captured log, and a script that reproduces the failure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from edgeml._version import __version__
from edgeml.core.artifact import Refusal
from edgeml.core.free_sizes import SizeOption
from edgeml.core.system.installation import DISTRIBUTION
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.core.system.text import printable
from edgeml.package import Failure
from edgeml.package.npy import encode_npz
from edgeml.pipeline.children.convert import Conversion, ConversionSettings
from edgeml.pipeline.children.prove import Proof, ProofSettings
from edgeml.pipeline.other_sizes import inputs_at_sizes
from edgeml.pipeline.saved_inputs import save_arrays
from edgeml.pipeline.source_model import ModelFile
from edgeml.sources.onnx_weights import weight_files
from edgeml.sources.states import StateOption

__all__ = ["collect_shared_files", "create_failure", "reproduce"]

_SCRIPT = '''"""Reproduce in this process why edgeml {version} failed to build {recipe}:

{reason}

Needs: pip install '{distribution}[all]=={version}'
"""

from pathlib import Path

from edgeml.pipeline.reproduction import reproduce

folder = Path(__file__).resolve().parent.parent
reproduce(folder, framework={framework!r}, recipe={recipe!r}, batch={batch!r}{trust}{sizes})
'''


def create_failure(refusal: Refusal, file: ModelFile, batch: int | None, *, trust: bool = False) -> Failure:
    """Create the log and the script of a recipe that failed."""
    reason = refusal.reason.replace("\\", "/").replace('"""', "'''")
    script = _SCRIPT.format(
        distribution=DISTRIBUTION,
        version=__version__,
        recipe=refusal.recipe,
        reason=reason,
        framework=file.framework,
        batch=batch,
        trust=", trust=True" if trust else "",
        sizes=(f", sizes={dict(file.sizes)!r}" if file.sizes else "")
        + (f", stateful={file.stateful!r}" if file.stateful is not None else "")
        + (", saved=True" if file.saved else ""),
    )
    return Failure(
        refusal.recipe,
        {"log.txt": f"{refusal.reason}\n\n{_readable(refusal.log)}".encode(), "reproduce.py": script.encode()},
    )


def _readable(log: str) -> str:
    """Return a log whose lines do not steer the terminal that shows them; tools color theirs."""
    return "\n".join(map(printable, log.expandtabs().splitlines()))


def collect_shared_files(
    file: ModelFile, inputs: Mapping[str, np.ndarray], calibration: Mapping[str, np.ndarray] | None
) -> dict[str, bytes]:
    """Return the files that all scripts need: the model, the judged data and the calibration data."""
    shared = {**_model_files(file.path), "judged.npz": encode_npz(inputs)}
    if calibration:
        shared["calibration.npz"] = encode_npz(calibration)
    return shared


def _model_files(path: Path) -> dict[str, bytes]:
    if path.is_file():
        weights = weight_files(path) if path.suffix.lower() == ".onnx" else ()
        return {f"source{path.suffix}": path.read_bytes()} | {file.name: file.read_bytes() for file in weights}
    parts = ("saved_model.pb", "keras_metadata.pb", "variables/*", "assets/*")  # of a SavedModel, read by TensorFlow
    return {
        f"source.savedmodel/{file_path.relative_to(path)}": file_path.read_bytes()
        for part in parts
        for file_path in sorted(path.glob(part))
        if file_path.is_file()
    }


def reproduce(
    folder: Path,
    *,
    framework: str,
    recipe: str,
    batch: int | None,
    trust: bool = False,
    sizes: SizeOption = MappingProxyType({}),
    stateful: StateOption = None,
    saved: bool = False,
) -> None:
    """Convert and run one recipe in this process, from the files of a failed build.

    Args:
        folder: The ``PKG.failed`` folder.
        framework: See `SourceInfo.framework`.
        recipe: Id of the recipe.
        batch: Fixed batch size of the artifact, or None.
        trust: The model was trusted in the build.
        sizes: See `ModelFile.sizes`.
        stateful: See `ModelFile.stateful`.
        saved: See `ModelFile.saved`.
    """
    (model,) = (path for path in folder.glob("source.*") if path.stem == "source")
    with TemporaryFolder() as work:
        conversion = Conversion(
            ConversionSettings(framework, model, work, batch, trust, sizes=dict(sizes), stateful=stateful, saved=saved)
        )
        files = {
            name: save_arrays(dict(np.load(folder / f"{name}.npz")), work / name)
            for name in ("calibration", "judged")
            if (folder / f"{name}.npz").exists()
        }
        artifact = conversion.convert(recipe, files.get("calibration", {}))
        judged = dict(np.load(folder / "judged.npz"))
        at_sizes = tuple(
            save_arrays(arrays, work / f"judged {place}")
            for place, (_, arrays) in enumerate(inputs_at_sizes(judged, conversion.describe(), sizes), 2)
        )
        Proof(ProofSettings(files["judged"], measure=False, at_sizes=at_sizes)).run(artifact)
    print(f"{recipe} was converted and ran: the failure did not occur again.")  # noqa: T201  # output of a script
