"""The model together with its losses: a batch in, a loss out."""

from typing import Any

import torch
from torch import Tensor, nn

from jointmat.models.joint import JointOutput
from train.config import TrainConfig
from train.data.dataset import Sample
from train.losses import joint_losses


class Objective(nn.Module):
    """One module for the whole step, so that it can be compiled or distributed as one."""

    def __init__(self, model: nn.Module, config: TrainConfig):
        super().__init__()
        self.model = model
        self.loss = config.loss
        self.bf16 = config.bf16

    def forward(self, batch: Sample) -> tuple[Tensor, dict[str, Tensor]]:
        """The total and the unweighted terms by name, each a scalar."""
        image = batch.image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.bf16):
            output: Any = self.model(image, batch.trimap, batch.prior)
        terms = joint_losses(JointOutput(*(plane.float() for plane in output)), batch)
        total = sum((getattr(self.loss, name) * term for name, term in terms.items()), image.new_zeros(()))
        return total, terms
