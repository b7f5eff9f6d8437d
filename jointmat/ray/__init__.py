"""Many images on many machines, with Ray Data: the extra `ray`.

`Matting` is for `ray.data.Dataset.map_batches`; `python -m jointmat.ray SRC DST` is a whole job.
"""

from jointmat.ray.matting import Matting

__all__ = ["Matting"]
