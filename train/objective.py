"""The model together with what it is asked for: a batch in, a loss out."""

from typing import Any

import torch
from torch import Tensor, nn

from jointmat.models.joint import JointOutput
from train.config import TrainConfig
from train.data.dataset import Sample
from train.losses import joint_losses


class Objective(nn.Module):
    """One module for the whole step, so that it can be compiled or distributed as one.

    With `config.learned_weights`, each term L is weighted by w·exp(−s) with a learned s, and w·s is added, which
    keeps it from vanishing (Kendall, Gal & Cipolla, CVPR 2018, eq. 10, with s = log σ²).
    """

    def __init__(self, model: nn.Module, config: TrainConfig):
        super().__init__()
        self.model = model
        self.loss = config.loss
        self.bf16 = config.bf16
        names = list(vars(config.loss)) if config.learned_weights else []
        self.log_variances = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in names})

    def forward(self, batch: Sample, trimap: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """The total and the unweighted terms by name, each a scalar."""
        image = batch.image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.bf16):
            output: Any = self.model(image, trimap)
        terms = joint_losses(JointOutput(*(plane.float() for plane in output)), batch, trimap)
        total = torch.zeros((), device=image.device)
        for name, term in terms.items():
            total = total + getattr(self.loss, name) * self._balanced(name, term)
        return total, terms

    def _balanced(self, name: str, term: Tensor) -> Tensor:
        if name not in self.log_variances:
            return term
        spread = self.log_variances[name]
        return term * torch.exp(-spread) + spread
