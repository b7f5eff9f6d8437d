"""Backends that run the network: ONNX Runtime (default) and torch, behind one protocol."""
