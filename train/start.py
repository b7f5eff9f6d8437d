"""What a run starts with: the model, its frozen parts, its moving average and the optimizer."""

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from jointmat.build import Network, build, load_model
from jointmat.config import differences, to_mapping
from jointmat.errors import ConfigError
from jointmat.weights import find_weights
from train.config import TrainConfig
from train.pretrained import backbones, load_imagenet


def fresh_model(config: TrainConfig) -> Network:
    """With the configured weights, or those of ImageNet in its encoders, or random ones."""
    model = build(config.model)
    if config.initial_weights:
        start = load_model(find_weights(config.initial_weights, ".safetensors"))
        try:
            model.load_state_dict(start.state_dict())
        except RuntimeError:
            other = differences(to_mapping(start.config), to_mapping(config.model))
            raise ConfigError(
                f"initial_weights={config.initial_weights}: holds another model ({'; '.join(other[:3])}); "
                "keep its model.…, or start without them, initial_weights="
            ) from None
    elif config.imagenet:
        for backbone in backbones(model):
            load_imagenet(backbone, config.model.encoder)
    return model


def freeze(model: nn.Module, names: Iterable[str]) -> None:
    """Keep the named submodules as they are; ConfigError for a name that is none."""
    for name in names:
        try:
            model.get_submodule(name).requires_grad_(False)
        except AttributeError:
            parts = ", ".join(part for part, _ in model.named_children())
            raise ConfigError(f"frozen={name}: no such module; choose {parts}, or a submodule") from None


def set_training(model: nn.Module, config: TrainConfig) -> None:
    """Training mode, but for the parts whose statistics are to stay."""
    model.train()
    for name in config.frozen:
        model.get_submodule(name).eval()
    if config.freeze_norm:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # also those of several GPUs
                module.eval()


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    return AveragedModel(model, multi_avg_fn=partial(_average, decay=decay), use_buffers=False)


@torch.no_grad()
def _average(averaged: list[Tensor], current: list[Tensor], count: int, decay: float) -> None:
    """Exponential moving average whose memory grows with its age, so that the fresh start is soon forgotten."""
    torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + count) / (10 + count)))


def adamw(objective: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """The pretrained encoder learns slower; vectors (biases, normalisation) are not decayed."""
    groups = []
    for inside in (True, False):
        for vectors in (True, False):
            members = [
                p
                for name, p in objective.named_parameters()
                if (".encoder." in name) == inside and (p.dim() < 2) == vectors and p.requires_grad
            ]
            groups.append(
                {
                    "params": members,
                    "factor": config.encoder_lr_scale if inside else 1.0,
                    "weight_decay": 0.0 if vectors else config.weight_decay,
                }
            )
    return torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=config.weight_decay)
