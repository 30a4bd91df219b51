"""The types that a ``.skops`` file may hold in addition to those that skops trusts by default.

The types are classes and functions of scikit-learn and its dependencies that hold learned state, and neither run code
from the file nor touch the system. Saving every estimator of scikit-learn 1.9 showed those of the list. Read the code
of a type before adding it here: the author of a file can call it with arguments of their choice.
"""

from __future__ import annotations

import importlib

__all__ = ["is_trusted"]

# Modules all of whose public classes and functions hold settings or compute on arrays.
_MODULES = ("sklearn.metrics", "sklearn.model_selection", "sklearn.feature_selection", "sklearn._loss")

_TRUSTED_TYPES = frozenset(
    {
        "builtins.object",
        "numpy.dtype",
        "numpy.mean",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.DotProduct",
        "sklearn.gaussian_process.kernels.ExpSineSquared",
        "sklearn.gaussian_process.kernels.Exponentiation",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.RationalQuadratic",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._classification.balanced_accuracy_score",
        "sklearn.metrics._dist_metrics.ChebyshevDistance64",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
    }
)
"""Dotted names, as `skops.io.get_untrusted_types` returns them."""


def is_trusted(name: str) -> bool:
    """Return whether a file may hold a type: one of the list, or a metric, splitter, selector or loss of scikit-learn.

    The latter must be what scikit-learn itself exports under that name.

    Args:
        name: Dotted name, as `skops.io.get_untrusted_types` returns it.
    """
    if name in _TRUSTED_TYPES:
        return True
    module, _, attribute = name.rpartition(".")
    family = next((each for each in _MODULES if f"{module}.".startswith(f"{each}.")), None)
    if family is None:
        return False
    exported = importlib.import_module(family)
    return attribute in exported.__all__ and getattr(exported, attribute).__module__ == module
