"""Errors of onnxruntime, in words for users."""

from __future__ import annotations

import re

__all__ = ["plain_reason"]

# Codes of errors, and the place in onnxruntime's own source with the function's signature.
_CODES = re.compile(
    r"(?:\[ONNXRuntimeError\] )?: \d+ : [A-Z_]+ : |This is an invalid model\. |Type Error: |"
    r"/onnxruntime_src/\S+:\d+ .*?\)(?:::<lambda\(\)>)?(?: const)?(?: \[[^\]]*\])? "
)
_RUNNING = re.compile(
    r"(?:Error in execution: )?Non-zero status code returned while running (\w+) node\. Name:'[^']*' Status Message: "
)
_MAX_CHARS = 300


def plain_reason(error: Exception) -> str:
    """Return the first line of an error, without codes, places in onnxruntime's source, and a full stop."""
    text = _RUNNING.sub(r"\1: ", str(error).strip() or type(error).__name__)
    text = _CODES.sub("", text)
    return text.splitlines()[0][:_MAX_CHARS].rstrip(". ")
