"""The training loop."""

import json
import logging
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from jointmat.config import to_mapping
from jointmat.models.joint import JointMatting
from jointmat.weights import load_model, save_weights
from train import checkpoint
from train.config import TrainConfig
from train.data.dataset import Mixture, Sample
from train.losses import joint_losses, true_unknown
from train.pretrained import load_imagenet
from train.preview import save_preview
from train.record import training_record

log = logging.getLogger(__name__)

LOG_EVERY = 20  # steps


class Trainer:
    """A run that can be stopped at any moment and taken up again.

    Everything that the next step depends on is in `state()`: weights, their moving average, the optimizer and
    the number of steps. Samples are a function of their number, so the data needs no state.
    """

    def __init__(self, config: TrainConfig, runs: Path):
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.folder = runs / config.name
        self.model = _fresh_model(config).to(memory_format=torch.channels_last)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.model, multi_avg_fn=partial(_average, decay=config.ema), use_buffers=False
        )
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(self.model, config), betas=(0.9, 0.99), weight_decay=config.weight_decay
        )
        self.data = Mixture(config.data, config.batch_size, config.steps * config.batch_size)
        self.step = 0
        self.seconds = 0.0
        self._forward: Any = torch.compile(self.model) if config.compile else self.model

    def run(self) -> None:
        """Train to the last step, from the newest checkpoint if there is one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        saved = checkpoint.load_newest(self.folder)
        if saved is not None:
            self.restore(saved)
            log.info("resumed at step %d", self.step)
        last_save = last_preview = last_step = time.monotonic()
        log_path = self.folder / "log.jsonl"
        progress = tqdm(total=self.config.steps, initial=self.step, unit="step", smoothing=0.02, mininterval=5)
        with log_path.open("a", encoding="utf-8") as lines, progress:
            for batch in self.batches():
                terms = self.train_step(batch)
                progress.update()
                if self.step % LOG_EVERY == 0:
                    lines.write(json.dumps({"step": self.step, "time": round(time.time()), **terms}) + "\n")
                    lines.flush()
                    progress.set_postfix({k: f"{v:.3f}" for k, v in terms.items()}, refresh=False)
                now = time.monotonic()
                if now - last_preview > 60 * self.config.preview_minutes:
                    last_preview = now
                    save_preview(self.folder / "preview.jpg", self.averaged(), batch)
                self.seconds += now - last_step
                last_step = now
                if now - last_save > 60 * self.config.checkpoint_minutes:
                    last_save = now
                    self.save()
        self.save()

    def train_step(self, batch: Sample) -> dict[str, float]:
        """One update; the value of every loss term, the total and the gradient's norm."""
        rate = _learning_rate(self.step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self.model.train()
        trimap = _given_trimap(batch, self.step, self.config)
        image = batch.image.contiguous(memory_format=torch.channels_last)
        output = self._forward(image, trimap)
        total, terms = joint_losses(output, batch, self.config.loss)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        if torch.isfinite(norm):
            self.optimizer.step()
            self.average.update_parameters(self.model)
        else:
            log.warning("step %d: gradient is not finite, skipped", self.step)
        self.step += 1
        values = {"total": total, **terms, "norm": norm}
        return {name: round(float(value.detach()), 5) for name, value in values.items()}

    def save(self) -> None:
        """Checkpoint to go on from, and the averaged weights for use."""
        checkpoint.save(self.folder, self.step, self.state())
        record = training_record(self.config, self.data.items(), self.step, self.seconds)
        save_weights(self.averaged(), self.folder / "weights.safetensors", record)

    def averaged(self) -> JointMatting:
        """A copy of the model with the averaged weights and the current statistics of the normalisation."""
        model = JointMatting(self.config.model)
        weights = {
            k.removeprefix("module."): v for k, v in self.average.state_dict().items() if k != "n_averaged"
        }
        buffers = {
            k: v for k, v in self.model.state_dict().items() if k not in dict(self.model.named_parameters())
        }
        model.load_state_dict({**weights, **buffers})
        return model.eval()

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "config": to_mapping(self.config),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["torch_rng"])
        self.step = state["step"]
        self.seconds = state.get("seconds", 0.0)

    def batches(self) -> DataLoader[Sample]:
        """What is left of the run's samples, in batches."""
        config = self.config
        first = self.step * config.batch_size
        return DataLoader(
            self.data,
            batch_size=config.batch_size,
            sampler=range(first, len(self.data)),
            generator=torch.Generator(),  # else it would draw from the generator that dropout uses
            num_workers=config.data.workers,
            prefetch_factor=4 if config.data.workers else None,
            persistent_workers=False,
        )


def _fresh_model(config: TrainConfig) -> JointMatting:
    model = JointMatting(config.model)
    if config.initial_weights:
        model.load_state_dict(load_model(Path(config.initial_weights)).state_dict())
    else:
        load_imagenet(model.encoder.backbone, config.model.encoder)
    return model


@torch.no_grad()
def _average(averaged: list[Tensor], current: list[Tensor], count: int, decay: float) -> None:
    """Exponential moving average whose memory grows with its age, so that the fresh start is soon forgotten."""
    torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + count) / (10 + count)))


def _parameter_groups(model: JointMatting, config: TrainConfig) -> list[dict[str, Any]]:
    """The pretrained encoder learns slower; vectors (biases, normalisation) are not decayed."""
    groups = []
    for inside in (True, False):
        for vectors in (True, False):
            members = [
                p
                for name, p in model.named_parameters()
                if name.startswith("encoder.") == inside and (p.dim() == 1) == vectors
            ]
            groups.append(
                {
                    "params": members,
                    "factor": config.encoder_factor if inside else 1.0,
                    "weight_decay": 0.0 if vectors else config.weight_decay,
                }
            )
    return groups


def _learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then half a cosine down to 1 % of the rate."""
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def _given_trimap(batch: Sample, step: int, config: TrainConfig) -> Tensor | None:
    """For some batches a trimap such as a user would draw: the true unknown, widened at random."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    if torch.rand((), generator=generator) >= config.given_trimap:
        return None
    reach = int(torch.randint(1, 13, (), generator=generator))
    unknown = torch.maximum(true_unknown(batch.alpha, reach), 1 - batch.weight)
    known = 1 - unknown
    inside = (batch.alpha > 0.5).float()
    return torch.cat([known * (1 - inside), unknown, known * inside], dim=1)
