"""The training loop."""

import dataclasses
import logging
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from jointmat.build import Network, build
from jointmat.config import differences, to_mapping
from jointmat.errors import ConfigError, InputError, TrainingError
from jointmat.models.joint import JointMatting
from jointmat.record import Record, joined_sources
from jointmat.weights import save_weights
from train import checkpoint
from train.config import DataConfig, TrainConfig, merged
from train.data.check import check_items
from train.data.dataset import Mixture, Sample
from train.distributed import World, world
from train.interrupt import Interrupt, closing_workers, leave_signals_to_the_parent, worker_error
from train.journal import Journal
from train.objective import Objective
from train.preview import save_preview
from train.record import sources_of, starting_point, training_record
from train.schedule import learning_rate
from train.start import adamw, freeze, fresh_model, moving_average, set_training

log = logging.getLogger(__name__)

LOG_EVERY = 20  # steps
OF_NO_EFFECT = (
    "name",
    "threads",
    "checkpoint_minutes",
    "preview_minutes",
    "tensorboard",
    "data.workers",
    "data.cache",
)
"""Settings that do not change what is learned."""


class Trainer:
    """A run that can be stopped at any moment and resumed.

    Everything that the next step depends on is in `state()`: weights, their moving average, the optimizer and
    the number of steps. Samples are a function of their number, so the data needs no state.

    Parameters
    ----------
    runs : the run's folder is runs/NAME
    processes : those that share the run; each takes `config.batch_size` samples of every step
    """

    def __init__(self, config: TrainConfig, runs: Path, processes: World | None = None):
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.world = processes or World()
        self.folder = runs / config.name
        resumes = checkpoint.exists(self.folder)  # its weights then come from there
        self.start = {} if resumes else starting_point(config)
        model = build(config.model) if resumes else fresh_model(config)
        self.model = model.to(self.world.device).to(memory_format=torch.channels_last)
        if isinstance(self.model, JointMatting):
            self.model.trimap_gradient = config.trimap_gradient
        freeze(self.model, config.frozen)
        self.objective = Objective(self.model, config).to(self.world.device)
        self.average = moving_average(self.model, config.ema_decay)
        self.optimizer = adamw(self.objective, config)
        batch_size = config.batch_size * self.world.size
        self.data = Mixture(config.data, batch_size, config.steps * batch_size)
        self.sources = sources_of(self.data.items())
        self.step = 0
        self.samples = 0
        self.seconds = 0.0
        self.skipped = 0
        self._skipped_in_a_row = 0
        distributed = self.world.wrap(self.objective)
        self._forward: Any = torch.compile(distributed) if config.compile else distributed

    def run(self) -> None:
        """Train to the last step, from the newest checkpoint if there is one.

        Raises
        ------
        ConfigError
            if the checkpoint belongs to another model.
        TrainingError
            if the gradient stays not finite, a data worker died, or another process trains in this folder.
        KeyboardInterrupt
            on Ctrl-C or SIGTERM, after the step and with a checkpoint written.
        """
        with checkpoint.locked(self.folder) if self.world.is_first else nullcontext():
            self._run()

    def _run(self) -> None:
        saved = checkpoint.load_newest(self.folder)
        if saved is not None:
            try:
                self.restore(saved)
            except (KeyError, TypeError) as error:  # a file of torch's, but not of a run
                raise TrainingError(
                    f"{self.folder}: its newest checkpoint is not from a training run ({error}); remove it"
                ) from error
            log.info("resumed at step %d", self.step)
        journal = Journal(self.folder, self.config.tensorboard) if self.world.is_first else None
        try:
            self._loop(journal)
        except Exception as error:
            if reason := worker_error(error):
                raise TrainingError(
                    f"step {self.step}: {reason}; restart to resume from the last checkpoint"
                ) from None
            raise
        finally:
            if journal:
                journal.close()

    def _loop(self, journal: Journal | None) -> None:
        last_save = last_preview = last_step = time.monotonic()
        progress = tqdm(
            total=self.config.steps,
            initial=self.step,
            unit="step",
            smoothing=0.02,
            mininterval=5,
            disable=not self.world.is_first,
        )
        with Interrupt() as interrupt, progress, closing_workers(self.batches()) as batches:
            for batch in batches:
                terms = self.train_step(batch)
                progress.update()
                now = time.monotonic()
                self.seconds += now - last_step
                last_step = now
                if self.step % LOG_EVERY == 0:
                    values = {k: round(v, 5) for k, v in self.world.mean(terms).items()}
                    progress.set_postfix({k: f"{v:.3f}" for k, v in values.items()}, refresh=False)
                    if journal:
                        journal.write(self.step, values)
                if now - last_preview > 60 * self.config.preview_minutes:
                    last_preview = now
                    self._preview(batch)
                if now - last_save > 60 * self.config.checkpoint_minutes:
                    last_save = now
                    self.save()
                if self.world.any(interrupt.requested):
                    self.save()
                    raise KeyboardInterrupt
        self.save()

    def train_step(self, batch: Sample) -> dict[str, float]:
        """One update; the value of every loss term, the total and the gradient's norm."""
        rate = learning_rate(self.step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        set_training(self.model, self.config)
        batch = Sample(*(plane.to(self.world.device, non_blocking=True) for plane in batch))
        statistics = [buffer.clone() for buffer in self.model.buffers()]
        total, terms = self._forward(batch)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), self.config.clip_norm)
        if torch.isfinite(norm):  # the same in all processes, which share their gradients
            self.optimizer.step()
            self.average.update_parameters(self.model)
            self._skipped_in_a_row = 0
        else:
            self._skip(batch, statistics)
        self.step += 1
        self.samples += self.data.batch_size
        values = {"total": total, **terms, "norm": norm}
        return {name: float(value.detach()) for name, value in values.items()} | {"skipped": float(self.skipped)}

    def save(self) -> None:
        """Write a checkpoint to resume from, and the averaged weights to use."""
        if not self.world.is_first:
            return
        checkpoint.save(self.folder, self.step, self.state())
        save_weights(self.averaged(), self.folder / "weights.safetensors", self.record())

    def record(self) -> Record:
        """The record of the training that goes into the weights file."""
        return training_record(self.config, self.start, self.sources, self.step, self.samples, self.seconds)

    def averaged(self) -> Network:
        """A copy of the model with the averaged weights and the current statistics of the normalisation."""
        with torch.random.fork_rng():  # else whether a run was saved would change its dropout
            model = build(self.config.model)
        model.load_state_dict(self.model.state_dict() | dict(self.average.module.named_parameters()))
        return model.eval()

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "samples": self.samples,
            "samples_a_step": self.data.batch_size,
            "sources": self.sources,
            "start": self.start,
            "seconds": self.seconds,
            "skipped": self.skipped,
            "config": to_mapping(self.config),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from `state()`; ConfigError if this configuration does not fit it."""
        saved = merged(to_mapping(TrainConfig("")), state["config"])  # what was named since had the default
        changed = differences(saved, to_mapping(self.config))
        other_model = [line for line in changed if line.startswith(("model.", "frozen"))]
        if other_model:
            raise ConfigError(
                f"{self.folder}: its checkpoint holds another model ({'; '.join(other_model)}); "
                "choose another name=…, or start from its weights with initial_weights=…"
            )
        learned_from = [line for line in changed if not line.startswith(OF_NO_EFFECT)]
        if learned_from and state["step"] >= self.config.steps:
            raise ConfigError(
                f"{self.folder}: finished at step {state['step']} with other settings "
                f"({'; '.join(learned_from[:3])}); choose another name=…, or raise steps=…"
            )
        for line in changed:
            log.info("changed since the checkpoint: %s", line)
        together, now = state["samples_a_step"], self.data.batch_size
        if together != now:
            log.warning("global batch size changed from %d to %d; some samples will repeat", together, now)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        own = [{key: group[key] for key in ("factor", "weight_decay")} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, settings in zip(self.optimizer.param_groups, own, strict=True):
            group.update(settings)
        torch.set_rng_state(state["torch_rng"])
        self.step = state["step"]
        self.samples = state["samples"]
        self.sources = joined_sources(state["sources"], self.sources)
        self.start = state["start"]  # the weights that it names may have been replaced since
        self.seconds = state["seconds"]
        self.skipped = state["skipped"]

    def batches(self) -> DataLoader[Sample]:
        """This process's remaining samples, in batches."""
        config = self.config
        whole, own = self.data.batch_size, config.batch_size
        first = self.world.rank * own
        sampler = [
            index
            for step in range(self.step, config.steps)
            for index in range(step * whole + first, step * whole + first + own)
        ]
        return DataLoader(
            self.data,
            batch_size=own,
            sampler=sampler,
            generator=torch.Generator(),  # else it would draw from the generator that dropout uses
            num_workers=config.data.workers,
            worker_init_fn=leave_signals_to_the_parent,
            prefetch_factor=4 if config.data.workers else None,
            pin_memory=self.world.device.type == "cuda",
        )

    def _skip(self, batch: Sample, statistics: list[Tensor]) -> None:
        """Skip a step: restore the normalisation's statistics; stop after too many skips in a row."""
        for buffer, before in zip(self.model.buffers(), statistics, strict=True):
            buffer.copy_(before)
        self.skipped += 1
        self._skipped_in_a_row += 1
        log.warning("step %d: gradient is not finite; skipped", self.step)
        if self._skipped_in_a_row >= self.config.max_bad_steps:
            path = self.folder / f"bad-batch-{self.world.rank}.safetensors"
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({name: plane.cpu().contiguous() for name, plane in batch._asdict().items()}, path)
            raise TrainingError(
                f"step {self.step}: gradient not finite for {self.config.max_bad_steps} steps in a row; "
                f"last batch saved as {path}; lower learning_rate, or restart from an earlier checkpoint"
            )

    def _preview(self, batch: Sample) -> None:
        """Draw the batch of the last step."""
        if self.world.is_first:
            save_preview(self.folder / "preview.jpg", self.averaged(), batch)


def train(config: TrainConfig, runs: Path) -> None:
    """Run `config` in all processes that were started for it, after a look at every file.

    Raises
    ------
    InputError
        for files that cannot be used, unless `config.data.bad_items` is "skip"; others as in `Trainer.run`.
    """
    config = dataclasses.replace(config, data=without_bad_items(config.data))
    with world(config.device) as processes:
        Trainer(config, runs, processes).run()


def without_bad_items(config: DataConfig) -> DataConfig:
    """Check every file; without the unusable ones if `config.bad_items` is "skip".

    Raises
    ------
    InputError
        if there are any, and it is not.
    """
    problems = check_items(Mixture(config, 1, 0).items())
    if not problems:
        return config
    listed = "; ".join(str(problem) for problem in problems[:3])
    if config.bad_items == "raise":
        raise InputError(
            f"{len(problems)} items cannot be used: {listed}; python -m train inspect-data lists all; "
            "data.bad_items=skip skips them"
        )
    log.warning("%d items cannot be used and are skipped: %s", len(problems), listed)
    bad = (f"{problem.item.source}/{problem.item.name}" for problem in problems)
    return dataclasses.replace(config, exclude=(*config.exclude, *bad))
