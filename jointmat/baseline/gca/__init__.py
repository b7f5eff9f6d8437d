"""The published trimap-based matting network: "Natural Image Matting via Guided Contextual Attention".

Li & Lu, AAAI 2020 (arXiv 2001.04069). A ResNet-34-like encoder reads the image together with its trimap, the
decoder mirrors it with five additive shortcuts, and guided contextual attention sits once in each of them at
1/8. This is the second of the two networks of the classic pipeline.
"""

from jointmat.baseline.gca.checkpoint import load_gca_checkpoint
from jointmat.baseline.gca.network import GCAMatting

__all__ = ["GCAMatting", "load_gca_checkpoint"]
