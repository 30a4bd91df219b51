"""onnxruntime's execution providers as targets, without silent fallback.

onnxruntime accepts the name of any provider and runs on the CPU where the provider is not available. Here the provider
must be part of the build and active in the session, and operators run on the CPU only where the caller allows it.
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
from edgeml.core.placement import OperatorCount, count_operators
from edgeml.core.system.installation import install_command
from edgeml.core.system.temporary import TemporaryFolder

__all__ = ["PROVIDERS", "open_on", "operators", "operators_run", "provider_obstacle"]

_RECORD = "session.record_ep_graph_assignment_info"
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
_NO_FILES = "/proc/self/ns"  # a folder that exists, and has no file that can be read: an empty name is not heeded
_NO_FALLBACK = "session.disable_cpu_ep_fallback"
_FATAL = 4
_COPIES = {"MemcpyFromHost", "MemcpyToHost"}  # copies between devices, inserted by onnxruntime


class Provider(Struct, frozen=True):
    """An execution provider.

    Attributes:
        name: Name in onnxruntime.
        fix: Instruction to install a build of onnxruntime with the provider; ``{install}`` stands for the command that
            adds the extra.
        extra: Extra of edgeml with such a build.
        plugin: Module of the plug-in that adds the provider to any build.
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
    "xnnpack": Provider("XnnpackExecutionProvider", "build onnxruntime with --use_xnnpack: wheels do not include it"),
    "qnn": Provider("QNNExecutionProvider", f"{_REMOVE} pip install onnxruntime-qnn, on a machine with a Qualcomm NPU"),
}


def provider_obstacle(target: str) -> EdgemlError | None:
    """Return an error if the provider cannot be used on this machine, as far as known without a model."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return MissingDependencyError("Running an .onnx artifact", "onnx")
    provider = PROVIDERS[target]
    if provider.name in onnxruntime.get_available_providers():
        return None
    build = f"This build of onnxruntime, {onnxruntime.__version__}, does not include {provider.name}"
    if not provider.plugin or importlib.util.find_spec(provider.plugin) is None:
        return TargetError(f"{build}.", fix=provider.fix.replace("{install}", install_command(provider.extra)))
    if not _plugin_devices(onnxruntime, provider):
        return TargetError(
            f"{build}, and the plug-in {provider.plugin} did not find a device.",
            fix="install the GPU's Vulkan driver.",
        )
    return None


def open_on(onnxruntime: Any, data: bytes, make_options: Callable[[], Any], target: str) -> tuple[Any, bool]:
    """Open a session on the target's provider; return it and whether the provider runs all operators.

    Operators that the provider does not support run on the CPU.

    Args:
        onnxruntime: The module.
        data: The model.
        make_options: Creates session options.
        target: One of `PROVIDERS`.

    Raises:
        TargetError: The provider does not load.
    """
    provider = PROVIDERS[target]
    if target == "cpu":
        return _open(onnxruntime, data, make_options(), provider), True
    alone = make_options()
    alone.add_session_config_entry(_NO_FALLBACK, "1")
    alone.log_severity_level = _FATAL  # a failure is not an error yet
    try:
        return _open(onnxruntime, data, alone, provider), True
    except Exception:  # noqa: BLE001  # onnxruntime's exceptions do not have a common base
        return _open(onnxruntime, data, make_options(), provider), False


def operators(session: Any, version: str) -> tuple[OperatorCount, ...]:
    """Return the placement of operators in a session on the CPU, before their fusion."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        raise TargetError(
            f"onnxruntime {version} does not report the placement of operators.",
            fix="pip install --upgrade onnxruntime",
        )
    return count_operators(
        (node.op_type, part.ep_name, True)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    )


def operators_run(
    onnxruntime: Any, data: bytes, options: Any, target: str, inputs: dict[str, np.ndarray]
) -> tuple[OperatorCount, ...]:
    """Return the placement of operators, under their names after fusion, from the profile of one run.

    The report that `operators` reads lacks the operators that a provider such as WebGPU claims before layout changes.

    Args:
        onnxruntime: The module.
        data: The model.
        options: Session options; profiling is enabled in them.
        target: One of `PROVIDERS`.
        inputs: Arrays by input name.
    """
    provider = PROVIDERS[target]
    with TemporaryFolder() as folder:
        options.enable_profiling, options.profile_file_prefix = True, str(folder / "run")
        session = _open(onnxruntime, data, options, provider)
        session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ran = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    return count_operators(
        (args["op_name"], args["provider"], args["provider"] == provider.name)
        for args in ran
        if args["op_name"] not in _COPIES
    )


def _open(onnxruntime: Any, data: bytes, options: Any, provider: Provider) -> Any:
    options.add_session_config_entry(_RECORD, "1")
    options.add_session_config_entry(_WEIGHTS_FOLDER, _NO_FILES)
    named: list[str] | None = [provider.name]
    if provider.name not in onnxruntime.get_available_providers():
        options.add_provider_for_devices(_plugin_devices(onnxruntime, provider)[:1], {})
        named = None
    session = onnxruntime.InferenceSession(data, options, providers=named, enable_fallback=0)
    if provider.name not in session.get_providers():
        raise TargetError(
            f"onnxruntime {onnxruntime.__version__} cannot load {provider.name}, and uses {session.get_providers()}.",
            fix="install its driver and libraries in the versions that this build requires.",
        )
    return session


def _plugin_devices(onnxruntime: Any, provider: Provider) -> list[Any]:
    """Return the devices of a plug-in's provider."""
    plugin = importlib.import_module(provider.plugin)

    def devices() -> list[Any]:
        return [device for device in onnxruntime.get_ep_devices() if device.ep_name == plugin.get_ep_name()]

    if not devices():
        try:
            onnxruntime.register_execution_provider_library(plugin.get_ep_name(), plugin.get_library_path())
        except Exception:  # noqa: BLE001  # registered before, without a device
            return []
    return devices()
