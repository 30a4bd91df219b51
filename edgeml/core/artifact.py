"""Results of a converter: an artifact, or a refusal."""

from msgspec import Struct

from edgeml.core.tensors import Signature

__all__ = ["Artifact", "Needs", "Refusal"]


class Needs(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Requirements of an artifact for the machine that runs it.

    Attributes:
        engine: ``tflite`` (any runtime of the format) or ``onnxruntime``.
        engine_version: Minimum version of the engine. For ``tflite`` a version of TensorFlow Lite; the first release of
            ai-edge-litert corresponds to 2.17.
        operators: Operators of the model file, sorted.
        opset: Version of the default ONNX operator set; None for TFLite.
        cpu_features: CPU features without which the outputs differ, each named ``architecture:feature`` and required
            only on that architecture.
    """

    engine: str
    engine_version: str
    operators: tuple[str, ...]
    opset: int | None = None
    cpu_features: tuple[str, ...] = ()


class Artifact(Struct, frozen=True):
    """A converted model.

    Attributes:
        recipe: Name of the recipe, such as ``tflite-int8``.
        data: Bytes of the model file.
        signature: Inputs and outputs of the model file.
        needs: Engine, operators and CPU features that the artifact requires.
        lineage: Steps of the conversion, first to last.
        remarks: What the conversion changed beyond rounding, for the verdict.
    """

    recipe: str
    data: bytes
    signature: Signature
    needs: Needs
    lineage: tuple[str, ...]
    remarks: tuple[str, ...] = ()


class Refusal(Struct, frozen=True):
    """A recipe for which no artifact was produced.

    Attributes:
        recipe: Name of the recipe.
        reason: Reason for the refusal.
        fix: Suggestion for the user; may be empty.
        failed: True if a tool or the artifact failed, which can be reproduced; False if a rule of edgeml excluded the
            recipe.
        log: Output of the tools.
    """

    recipe: str
    reason: str
    fix: str = ""
    failed: bool = False
    log: str = ""
