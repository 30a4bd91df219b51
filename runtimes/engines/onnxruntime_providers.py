"""onnxruntime's execution providers as targets, so that none is ever left silently.

onnxruntime takes any provider's name and, where that cannot serve, runs on the CPU. Here a provider must be in the
build, must be what the session says that it has, and the CPU takes operators only where that was allowed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from edgeml.core.errors import EdgemlError, MissingDependencyError, TargetError
from edgeml.core.placement import Placed, placed
from edgeml.core.system.installation import install_command

__all__ = ["PROVIDERS", "open_on", "operators", "operators_run", "provider_obstacle"]

_RECORD = "session.record_ep_graph_assignment_info"
_NO_FALLBACK = "session.disable_cpu_ep_fallback"
_FATAL = 4
_COPIES = {"MemcpyFromHost", "MemcpyToHost"}  # onnxruntime's own, between devices


class Provider(Struct, frozen=True):
    """An execution provider.

    Attributes:
        fix: Advice on how to get a build of onnxruntime that has it; ``{install}`` stands for the command that adds
            the extra.
        extra: Extra of edgeml that brings such a build.
        plugin: Module of the plug-in that brings it to any build.
    """

    name: str
    fix: str
    extra: str = ""
    plugin: str = ""


_REMOVE = "pip uninstall onnxruntime, then"
PROVIDERS: dict[str, Provider] = {
    "cpu": Provider("CPUExecutionProvider", "{install}", "onnx"),
    "cuda": Provider("CUDAExecutionProvider", f"{_REMOVE} {{install}}", "onnx-cuda"),
    "tensorrt": Provider("TensorrtExecutionProvider", f"{_REMOVE} {{install}}, then pip install tensorrt", "onnx-cuda"),
    "webgpu": Provider(
        "WebGpuExecutionProvider",
        f"pip install onnxruntime-ep-webgpu; or {_REMOVE} {{install}}",
        "onnx-webgpu",
        "onnxruntime_ep_webgpu",
    ),
    "coreml": Provider("CoreMLExecutionProvider", "use onnxruntime on macOS, whose wheels have it"),
    "xnnpack": Provider("XnnpackExecutionProvider", "build onnxruntime with --use_xnnpack: no wheel has it"),
    "qnn": Provider("QNNExecutionProvider", f"{_REMOVE} pip install onnxruntime-qnn, on a machine with a Qualcomm NPU"),
}


def provider_obstacle(target: str) -> EdgemlError | None:
    """Why the provider cannot be used on this machine, as far as can be told without a model."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return MissingDependencyError("Running an .onnx artifact", "onnx")
    provider = PROVIDERS[target]
    if provider.name in onnxruntime.get_available_providers():
        return None
    build = f"This build of onnxruntime, {onnxruntime.__version__}, has no {provider.name}"
    if not provider.plugin or importlib.util.find_spec(provider.plugin) is None:
        return TargetError(f"{build}.", fix=provider.fix.replace("{install}", install_command(provider.extra)))
    if not _plugin_devices(onnxruntime, provider):
        return TargetError(
            f"{build}, and the plug-in {provider.plugin} finds no device for it.",
            fix="install the GPU's Vulkan driver.",
        )
    return None


def open_on(onnxruntime: Any, data: bytes, make_options: Callable[[], Any], target: str) -> tuple[Any, bool]:
    """A session on the target's provider, and whether that runs all operators: the CPU gets only what it does not take.

    Args:
        onnxruntime: The module.
        data: The model.
        make_options: Makes session options.
        target: One of `PROVIDERS`.

    Raises:
        TargetError: The provider does not load.
    """
    provider = PROVIDERS[target]
    if target == "cpu":
        return _opened(onnxruntime, data, make_options(), provider), True
    alone = make_options()
    alone.add_session_config_entry(_NO_FALLBACK, "1")
    alone.log_severity_level = _FATAL  # that it cannot is no error yet
    try:
        return _opened(onnxruntime, data, alone, provider), True
    except Exception:  # noqa: BLE001  # of onnxruntime, whose exceptions have no base of their own
        return _opened(onnxruntime, data, make_options(), provider), False


def operators(session: Any, version: str) -> tuple[Placed, ...]:
    """The account of a session on the CPU: where it assigned its operators, before it fused them."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        raise TargetError(
            f"onnxruntime {version} does not tell where operators run.", fix="pip install --upgrade onnxruntime"
        )
    return placed(
        (node.op_type, part.ep_name, True)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    )


def operators_run(
    onnxruntime: Any, data: bytes, options: Any, target: str, inputs: dict[str, np.ndarray]
) -> tuple[Placed, ...]:
    """Where operators ran, from the profile of one run. They bear the names that they have after fusion.

    The account that `operators` reads lacks what a provider takes before it changes the layout, as WebGPU does.

    Args:
        onnxruntime: The module.
        data: The model.
        options: Session options, of which a profiling session is made.
        target: One of `PROVIDERS`.
        inputs: What to run it on.
    """
    import tempfile

    provider = PROVIDERS[target]
    with tempfile.TemporaryDirectory(prefix="edgeml-") as folder:
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "run")
        session = _opened(onnxruntime, data, options, provider)
        session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ran = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    return placed(
        (args["op_name"], args["provider"], args["provider"] == provider.name)
        for args in ran
        if args["op_name"] not in _COPIES
    )


def _opened(onnxruntime: Any, data: bytes, options: Any, provider: Provider) -> Any:
    options.add_session_config_entry(_RECORD, "1")
    named: list[str] | None = [provider.name]
    if provider.name not in onnxruntime.get_available_providers():
        options.add_provider_for_devices(_plugin_devices(onnxruntime, provider)[:1], {})
        named = None
    session = onnxruntime.InferenceSession(data, options, providers=named, enable_fallback=0)
    if provider.name not in session.get_providers():
        raise TargetError(
            f"onnxruntime {onnxruntime.__version__} cannot load {provider.name}, and took {session.get_providers()}.",
            fix="install the driver and the libraries that it needs, in the versions that it was built for.",
        )
    return session


def _plugin_devices(onnxruntime: Any, provider: Provider) -> list[Any]:
    """The devices of a provider that a plug-in brings."""
    plugin = importlib.import_module(provider.plugin)

    def found() -> list[Any]:
        return [device for device in onnxruntime.get_ep_devices() if device.ep_name == plugin.get_ep_name()]

    if not found():
        try:
            onnxruntime.register_execution_provider_library(plugin.get_ep_name(), plugin.get_library_path())
        except Exception:  # noqa: BLE001  # registered before, and without a device
            return []
    return found()
