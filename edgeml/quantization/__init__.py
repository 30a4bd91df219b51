"""What quantization needs beside the converters: calibration data, and reduced precision in ONNX."""
