"""The tightest loops against the raw engines that an expert would write, one sample or one batch at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

try:
    from numpy._core.umath import clip
except ImportError:
    from numpy.core.umath import clip

Call = Callable[[np.ndarray], np.ndarray]


def litert(data: bytes, *, batch: int = 1, threads: int = 1) -> Call:
    """Float32 in and out by LiteRT: quantizes and dequantizes where the file has integers; nothing is checked."""
    interpreter, takes, gives, shape = _interpreter(data, batch, threads)
    set_tensor, invoke, get_tensor = interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor
    source, sink = takes["index"], gives["index"]
    if not takes["quantization"][0]:

        def plain(x: np.ndarray) -> np.ndarray:
            set_tensor(source, x)
            invoke()
            return get_tensor(sink)

        return plain
    (scale, zero), limits = takes["quantization"], np.iinfo(takes["dtype"])
    scale, zero, low, high = (np.array(value, np.float32) for value in (scale, zero, limits.min, limits.max))
    scale_out, zero_out = (np.array(value, np.float32) for value in gives["quantization"])
    scratch, integers = np.empty(shape, np.float32), np.empty(shape, takes["dtype"])
    divide, rint, add, float32 = np.divide, np.rint, np.add, np.dtype(np.float32)

    def quantizing(x: np.ndarray) -> np.ndarray:
        divide(x, scale, scratch)
        rint(scratch, scratch)
        add(scratch, zero, scratch)
        clip(scratch, low, high, scratch)
        integers[...] = scratch
        set_tensor(source, integers)
        invoke()
        values = get_tensor(sink).astype(float32)
        values -= zero_out
        values *= scale_out
        return values

    return quantizing


def litert_as_is(data: bytes) -> Call:
    """The artifact's own dtypes in and out: set, invoke, get."""
    interpreter, takes, gives, _ = _interpreter(data, 1, 1)
    set_tensor, invoke, get_tensor = interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor
    source, sink = takes["index"], gives["index"]

    def call(x: np.ndarray) -> np.ndarray:
        set_tensor(source, x)
        invoke()
        return get_tensor(sink)

    return call


def _interpreter(data: bytes, batch: int, threads: int) -> tuple:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=threads)
    (takes,) = interpreter.get_input_details()
    shape = (batch, *(int(size) for size in takes["shape"][1:]))
    if batch > 1:
        interpreter.resize_tensor_input(takes["index"], shape)
    interpreter.allocate_tensors()
    return interpreter, takes, interpreter.get_output_details()[0], shape


def onnx(data: bytes, *, threads: int = 1) -> Call:
    """Float32 in and out by onnxruntime's `run`, any batch."""
    session = onnx_session(data, threads)
    (takes,), gives = session.get_inputs(), session.get_outputs()
    name, wanted = takes.name, [next(node.name for node in gives if node.type == "tensor(float)")]
    run = session.run
    return lambda x: run(wanted, {name: x})[0]


def onnx_bound(data: bytes) -> Call:
    """The same by io-binding on memory of its own, one sample."""
    from onnxruntime import OrtValue

    session = onnx_session(data, 1)
    (takes,), gives = session.get_inputs(), session.get_outputs()[0]
    source = np.zeros((1, *takes.shape[1:]), np.float32)
    sink = np.array(session.run([gives.name], {takes.name: source})[0])
    values = OrtValue.ortvalue_from_numpy(source), OrtValue.ortvalue_from_numpy(sink)
    binding = session.io_binding()
    binding.bind_ortvalue_input(takes.name, values[0])
    binding.bind_ortvalue_output(gives.name, values[1])
    run = session.run_with_iobinding

    def call(x: np.ndarray) -> np.ndarray:
        source[...] = x
        run(binding)
        return sink.copy()

    return call


def onnx_session(data: bytes, threads: int):  # noqa: ANN201 - onnxruntime is imported when it is used
    """A session of onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
