"""Results of a converter: an artifact, or a refusal."""

from msgspec import Struct

from edgeml.core.tensors import Signature

__all__ = ["Artifact", "Needs", "Refusal"]


class Needs(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Requirements of an artifact on a machine.

    Attributes:
        engine: ``tflite`` (any runtime of the format) or ``onnxruntime``.
        engine_version: Minimum version of the engine; for ``tflite`` in TensorFlow Lite's numbering, whose 2.17
            corresponds to the first release of ai-edge-litert.
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
    """

    recipe: str
    data: bytes
    signature: Signature
    needs: Needs
    lineage: tuple[str, ...]


class Refusal(Struct, frozen=True):
    """A recipe that could not be made.

    Attributes:
        recipe: Name of the recipe.
        reason: Reason of the refusal.
        fix: Suggestion for the user; may be empty.
        failed: True if a tool or an artifact failed, which can be reproduced; False if edgeml refused by a rule.
        log: Output of the tools.
    """

    recipe: str
    reason: str
    fix: str = ""
    failed: bool = False
    log: str = ""
