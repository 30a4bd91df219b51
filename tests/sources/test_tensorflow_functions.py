"""The functions of TensorFlow that a model may call, against what TensorFlow itself says of them."""

from __future__ import annotations

import re

import pytest

from edgeml.core.system.worker import Worker
from edgeml.sources.tensorflow_functions import is_pure_function

# The modules of TensorFlow that compute arrays from arrays; others read files, print, call Python or keep state.
COMPUTES = re.compile(
    r"tf_keras\.src\.(activations|backend|losses|metrics\..*)|tensorflow\.python\.(framework\.(constant_op|tensor_conversion)"
    r"|ops\.(linalg\.|signal\.|gen_)?(array_ops|array_ops_stack|bincount_ops|bitwise_ops|check_ops|clip_ops"
    r"|confusion_matrix|ctc_ops|data_flow_ops|dct_ops|embedding_ops|fft_ops|histogram_ops|image_ops|image_ops_impl"
    r"|linalg_impl|linalg_ops|manip_ops|math_ops|mel_ops|mfcc_ops|nn_impl|nn_ops|random_crop_ops|random_ops"
    r"|reconstruction_ops|shape_ops|sort_ops|special_math_ops|spectral_ops|stateless_random_ops|string_ops"
    r"|tensor_getitem_override|window_ops|ragged\.ragged_string_ops))"
)


@pytest.mark.slow
def test_functions_that_a_model_may_call_only_compute(legacy_models: Worker) -> None:
    functions = legacy_models.call("pure_functions", returns=dict[str, tuple[str, list[str]]])
    assert len(functions) > 800
    for name, (module, arguments) in functions.items():
        assert COMPUTES.fullmatch(module), (name, module)
        assert not {"fn", "func", "function", "body", "cond", "cell", "true_fn"} & set(arguments), name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "compat.v1.read_file",
            "compat.v1.write_file",
            "compat.v1.matching_files",
            "compat.v1.gfile.DeleteRecursively",
        ),
        *("io.gfile.rmtree", "io.write_file", "load_op_library", "load_library", "compat.v1.load_file_system_library"),
        *("py_function", "numpy_function", "compat.v1.py_func", "print", "map_fn", "while_loop", "import_graph_def"),
        *("raw_ops.WriteFile", "saved_model.load", "keras.models.load_model", "keras.utils.get_file", "data.Dataset"),
        *(
            "keras.backend.function",
            "keras.backend.set_value",
            "keras.activations.get",
            "random.set_seed",
            "config.list",
        ),
        *("compat.v1.compat.v1.pad", "pad ", ".pad", "compat.v1.", "", "math", None, 3, ["pad"], {"pad": 1}),
    ],
)
def test_other_names_are_refused(name: object) -> None:
    assert not is_pure_function(name)


@pytest.mark.parametrize("name", ["transpose", "compat.v1.transpose", "compat.v1.pad", "compat.v1.norm", "math.tanh"])
def test_names_of_arithmetic(name: str) -> None:
    assert is_pure_function(name)
