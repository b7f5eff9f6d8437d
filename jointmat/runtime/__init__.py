"""Backends that run the network: ONNX Runtime (default) and torch, behind one protocol.

Since version 1.32, ONNX Runtime reports its use to its maker on Linux too, and keeps an identifier of the machine
in the home folder. Here it does neither, unless ORT_DISABLE_TELEMETRY=0 is set. It looks when it is imported, so
this comes first.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
