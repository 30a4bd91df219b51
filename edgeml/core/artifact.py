"""What a converter gives: an artifact, or a refusal."""

from msgspec import Struct

from edgeml.core.tensors import Signature

__all__ = ["Artifact", "Needs", "Refusal"]


class Needs(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an artifact needs of a machine.

    Attributes:
        engine: ``tflite`` (any runtime of that format) or ``onnxruntime``.
        engine_version: The least version of it; for ``tflite`` in TensorFlow Lite's numbering, to whose 2.17
            the first release of ai-edge-litert corresponds.
        operators: The operators it uses, sorted.
        opset: Version of the default ONNX operator set; None for TFLite.
        cpu_features: Features without which the engine gives other answers, each named
            ``architecture:feature`` and needed on that architecture alone.
    """

    engine: str
    engine_version: str
    operators: tuple[str, ...]
    opset: int | None = None
    cpu_features: tuple[str, ...] = ()


class Artifact(Struct, frozen=True):
    """One converted model.

    Attributes:
        recipe: Id of its recipe.
        data: The model file's bytes.
        signature: Its named tensors, as the engine takes and gives them.
        lineage: The steps that made it, first to last.
    """

    recipe: str
    data: bytes
    signature: Signature
    needs: Needs
    lineage: tuple[str, ...]


class Refusal(Struct, frozen=True):
    """A recipe that was not made.

    Attributes:
        reason: Why.
        fix: What to use or do instead.
        failed: True where a tool failed or an artifact broke, so that there is something to reproduce;
            False where edgeml declined by rule.
        log: What the tools printed.
    """

    recipe: str
    reason: str
    fix: str = ""
    failed: bool = False
    log: str = ""
