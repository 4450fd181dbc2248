"""A job in, a trained network out: the training loop, phase by phase, epoch by epoch, step by step.

The loop keeps its position and nothing random: what is drawn is drawn from the seed and the position. So a checkpoint
is weights, moments and the position, and a training run that is resumed ends with the same bytes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thawline.core.errors import TrainingError, first_few
from thawline.core.progress import Advance
from thawline.core.types import Curve, Floats
from thawline.features.layers import layer_scales
from thawline.train.allowance import UNLIMITED, Allowance, Course
from thawline.train.batches import Batch, Rows, epoch_batches
from thawline.train.checkpoint import Checkpoints, State
from thawline.train.engine import STREAM_ROWS, Engine, StepSums, open_engine
from thawline.train.finder import find_rate
from thawline.train.inputs import Inputs
from thawline.train.job import Job, Trained, set_aside
from thawline.train.new_head import HEAD_NAMES
from thawline.train.objective import Objective
from thawline.train.optimizer import load_moments, loss_scaler, make_optimizer, moments, set_rate
from thawline.train.phases import Phase, phases
from thawline.train.position import Position
from thawline.train.read_ahead import reading_ahead
from thawline.train.schedule import schedule_factor
from thawline.train.thawed import Thawed

__all__ = ["EpochNews", "train"]

WATCHED_ROWS = 2000
NOTE_EVERY_S = 5.0
EpochNews = Callable[[int, Mapping[str, float]], None]


def train(
    job: Job,
    *,
    checkpoints: Checkpoints | None = None,
    news: EpochNews | None = None,
    allowance: Allowance = UNLIMITED,
) -> Trained:
    """Return the trained network of a job; with checkpoints, training goes on where the last one stands.

    Equal jobs give equal bytes on a CPU, in one run or in several, unless the allowance ends one before its time.
    Writes checkpoints, and activations to the cache.

    Args:
        job: What to train.
        checkpoints: Where to keep the state, or None to keep none.
        news: Called after every epoch with its number, from 1, and its values by name.
        allowance: When it must end, however far it is; its schedule is brought to its end by then.

    Raises:
        TrainingError: The loss is no number, or the checkpoint is of another training run.
        StoreError: A checkpoint or the activations cannot be written; the last good checkpoint stays.
    """
    return _Training(job, checkpoints, news, allowance).run()


@dataclass(frozen=True)
class _RunningPhase:
    """What the steps of one phase work with: where its inputs come from, and what changes the weights."""

    phase: Phase
    rows: Rows
    engine: Engine
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


class _Training:
    """A training run in progress: its weights, its position, and the loop."""

    def __init__(self, job: Job, checkpoints: Checkpoints | None, news: EpochNews | None, allowance: Allowance) -> None:
        context = job.context
        self.job, self.training, self.checkpoints, self.news = job, context.training, checkpoints, news
        self.dataset, self.runtime, self.seed = context.dataset, context.training_runtime, context.seed
        self.progress, self.processes = context.machine.progress, context.machine.processes
        self.rows, watched = job.train, job.held_out
        if self.training.watches:
            self.rows, watched = set_aside(self.dataset, job.train, seed=self.seed)
        self.watched = watched[:: max(1, -(-len(watched) // WATCHED_ROWS))]
        self.keeps_norms = job.plan.from_nothing
        self.network, self.head = job.new_network(), job.new_head()
        self.phases = phases(job.plan, self.network, epochs=job.num_epochs)
        epochs, num_steps = [phase.epochs for phase in self.phases], -(-len(self.rows) // self.training.batch_size)
        self.course = Course(allowance, epochs, num_steps=num_steps, agree=self.processes.agree)
        self.pretrained: dict[str, Tensor] = {}
        if self.training.l2_sp:
            self.pretrained = {
                name: p.detach().clone() for name, p in self.network.model.named_parameters() if name not in HEAD_NAMES
            }
        self.objective = Objective(
            self.dataset.labels, job.class_weights, self.training.label_smoothing, self.training.dropout, self.seed
        )
        self.thawed: Thawed  # of the current phase, after the end of the last one
        self.inputs = Inputs(job, np.union1d(self.rows, self.watched))
        self.rate = job.learning_rate
        self.finder: tuple[tuple[float, float], ...] = ()
        self.at = Position()
        self.mean: dict[str, Tensor] = {}
        self.best: dict[str, Tensor] = {}
        self.saved_at = self.noted_at = self.began_at = time.monotonic()

    def run(self) -> Trained:
        """Train from the last checkpoint, or from the start, to the end."""
        state = self.checkpoints.latest() if self.checkpoints is not None else None
        if state is not None:
            self.at = Position.of(state.facts["position"])
            self.rate, self.finder = state.facts["learning_rate"], tuple(map(tuple, state.facts["finder"]))
            self.began_at -= self.at.seconds
            self.progress.note(f"tune: {self.job.name} goes on at epoch {self.at.epochs + 1}, step {self.at.step + 1}")
        total = sum(phase.epochs for phase in self.phases) * len(self.rows)
        while self.at.phase < len(self.phases) and not self.at.is_over:
            phase = self.phases[self.at.phase]
            source = self.inputs.of(phase)  # before the bar: filling the cache has one of its own
            with self.progress.stage(f"tune {self.job.name}", total) as advance:
                advance(self.at.epochs * len(self.rows) + self.at.count)
                self._run_phase(phase, source, state, advance)
            state = None
            self.at.phase, self.at.epoch = self.at.phase + 1, 0
        return self._result()

    def _run_phase(self, phase: Phase, source: tuple[Rows, int | None], state: State | None, advance: Advance) -> None:
        """Train one phase, from `state` where the run was cut off within it."""
        rows, cut = source
        thawed = self.thawed = Thawed(self.network, cut, phase.layers, self.head)
        weights = thawed.trained()
        own = [name for name in weights if name not in HEAD_NAMES]
        scales = dict.fromkeys(weights, 1.0) | layer_scales(self.network.model, own, decay=self.training.layer_decay)
        optimizer = make_optimizer(weights, self.training, scales=scales)
        if state is not None:
            self._restore(state, weights, optimizer)
        with open_engine(
            thawed,
            self.objective,
            runtime=self.runtime,
            keeps_norms=self.keeps_norms,
            accumulate=self.training.accumulate,
            note=self.progress.note,
        ) as engine:
            scaler = loss_scaler(self.runtime, None if state is None else state.facts["scaler"])
            running = _RunningPhase(phase, rows, engine, optimizer, scaler)
            if self.training.find_rate and not self.finder:
                self.rate, self.finder = find_rate(
                    engine,
                    optimizer,
                    gradients=lambda place: self._gradients(running, *place),
                    batches=self._batches(),
                )
            for name, weight in weights.items() if self.training.ema else ():
                self.mean.setdefault(name, weight.detach().clone())
            self.course.begin()
            while (self.at.step or self.course.is_left(self.at, self.course.planned(self.at))) and not self.at.is_over:
                self._run_epoch(running, advance)

    def _run_epoch(self, running: _RunningPhase, advance: Advance) -> None:
        """Take the remaining steps of an epoch, or those that time allows, then answer the rows to watch."""
        batches = self._batches()
        coming, device, together = batches[self.at.step :], self.runtime.device, self.processes
        with reading_ahead(running.rows, coming, epoch=self.at.epochs, device=device, processes=together) as ahead:
            running = replace(running, rows=ahead)
            for step in range(self.at.step, len(batches)):
                planned = self.course.planned(self.at)
                if step and not self.course.is_left(self.at, planned):
                    break
                self.at.rate = self._rate_at(planned)
                set_rate(running.optimizer, self.at.rate)
                sums = self._gradients(running, batches[step], step, scale=running.scaler.get_scale())
                self._take_step(running)
                self.at.add_step(sums.loss, sums.right, count=sums.count)
                self.course.add_step()
                advance(sums.count)
                if time.monotonic() - self.saved_at >= self.training.checkpoint_every_s:
                    self._save(running)
        self._end_epoch(running)
        self.course.add_answers()

    def _rate_at(self, planned: float) -> float:
        """Return the step size at the next step of a phase that is planned for so many epochs."""
        kind, warmup, done = self.training.schedule, self.training.warmup, self.course.done(self.at)
        longest = max(planned, done + 1e-3)
        return self.rate * self.at.plateau.factor * schedule_factor(kind, done, num_epochs=longest, warmup=warmup)

    def _gradients(self, running: _RunningPhase, batch: Batch, step: int, *, scale: float = 1.0) -> StepSums:
        """Add up the gradients of a batch over all processes, and return the sums over all of them."""
        engine, place = running.engine, (self.at.epochs, step)
        mine = batch.part(self.processes.share(np.arange(len(batch)), together=STREAM_ROWS))
        sums = engine.gradients(mine, running.rows, place=place, scale=scale / len(batch))
        loss, right = sums.loss, sums.right
        if self.processes.count > 1:
            totals = torch.tensor([loss, right], dtype=torch.float32, device=self.runtime.device)
            gradients = [weight.grad for weight in engine.thawed.trained().values() if weight.grad is not None]
            self.processes.add_up([*gradients, totals])
            loss, right = float(totals[0]), float(totals[1])
        if not math.isfinite(loss):
            self._refuse_loss(loss, batch, step)
        return StepSums(loss, right, len(batch))

    def _refuse_loss(self, loss: float, batch: Batch, step: int) -> None:
        """Stop a training run whose loss is no number, and say where to look."""
        names = first_few([self.dataset.samples[row].path for row in np.union1d(batch.samples, batch.partners)], 5)
        newest = self.checkpoints.newest_path() if self.checkpoints is not None else None
        kept = f"The last good checkpoint is {newest}." if newest else "No checkpoint was written yet."
        raise TrainingError(
            f"tune: {self.job.name}: the loss is {loss} at epoch {self.at.epochs + 1}, step {step + 1}, on {names}. "
            f"{kept} Lower --learning-rate (it was {self.rate:g}), or pass --dtype float32."
        )

    def _take_step(self, running: _RunningPhase) -> None:
        """Change the weights by their gradients, and the running mean by the weights."""
        optimizer, scaler, weights = running.optimizer, running.scaler, running.engine.thawed.trained()
        scaler.unscale_(optimizer)
        with torch.no_grad():
            for name, start in self.pretrained.items():
                if name in weights and weights[name].grad is not None:
                    weights[name].grad.add_(weights[name] - start, alpha=self.training.l2_sp)  # type: ignore[union-attr]
        if self.training.clip_norm is not None:
            nn.utils.clip_grad_norm_(weights.values(), self.training.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        with torch.no_grad():
            for name, mean in self.mean.items():
                mean.lerp_(weights[name], 1 - min(self.training.ema, (1 + self.at.steps) / (10 + self.at.steps)))
        running.engine.refresh()

    def _end_epoch(self, running: _RunningPhase) -> None:
        """Write the epoch into the history; whether to stop is decided by rows set aside, never by those held out."""
        engine, at = running.engine, self.at
        self._average_norms(engine)
        loss, accuracy = math.nan, math.nan
        if len(self.watched):
            with self._mean_weights(engine):
                mine = engine.logits(self.processes.share(self.watched), running.rows)
                loss, accuracy = self._watched_scores(self.processes.gather(mine, len(self.watched)))
                is_best = self.training.watches and at.watch(loss, self.training)
                if is_best and (self.training.keep == "best" or self.training.patience is not None):
                    self.best = self._tensors(engine.thawed)
        values = at.end_epoch(validation_loss=loss, validation_accuracy=accuracy)
        if self.news is not None:
            self.news(at.epochs, values)
        if time.monotonic() - self.noted_at >= NOTE_EVERY_S:
            self.noted_at = time.monotonic()
            best = min(at.history["validation_loss" if len(self.watched) else "train_loss"])
            watched = f"; watched {loss:.3f}, {accuracy:.3f}" if len(self.watched) else ""
            self.progress.note(
                f"tune: {self.job.name}: epoch {at.epochs} of {sum(phase.epochs for phase in self.phases)}: "
                f"loss {values['train_loss']:.3f}, top-1 {values['train_accuracy']:.3f}{watched}; best {best:.3f}"
            )

    def _watched_scores(self, logits: Floats) -> tuple[float, float]:
        labels, answers = torch.from_numpy(self.dataset.labels[self.watched]), torch.from_numpy(logits)
        return float(F.cross_entropy(answers, labels)), float((answers.argmax(1) == labels).float().mean())

    def _average_norms(self, engine: Engine) -> None:
        """Give all processes the mean of the statistics that their norms learnt from different pictures."""
        if self.keeps_norms and self.processes.count > 1:
            buffers = [b for b in engine.thawed.model.buffers() if b.is_floating_point()]
            self.processes.add_up(buffers)
            torch._foreach_div_(buffers, self.processes.count)

    @contextmanager
    def _mean_weights(self, engine: Engine) -> Iterator[None]:
        """Put the running mean in the place of the weights, where there is one."""
        if not self.mean:
            yield
            return
        weights = engine.thawed.trained()
        own = {name: weights[name].detach().clone() for name in self.mean}
        with torch.no_grad():
            for name, mean in self.mean.items():
                weights[name].copy_(mean)
            engine.refresh()
            yield
            for name, tensor in own.items():
                weights[name].copy_(tensor)
            engine.refresh()

    def _tensors(self, thawed: Thawed) -> dict[str, Tensor]:
        """Return copies of what training has changed so far, by name."""
        changed: dict[str, Tensor] = {**thawed.trained()}
        if self.keeps_norms:
            changed.update(thawed.model.named_buffers())
        return {name: tensor.detach().clone() for name, tensor in changed.items()}

    def _save(self, running: _RunningPhase) -> None:
        """Write a checkpoint; the first process does, the others go on."""
        self.saved_at = time.monotonic()
        if self.checkpoints is None or not self.processes.is_first:
            return
        self.at.seconds = self.saved_at - self.began_at
        parts = {
            "weights": self._tensors(running.engine.thawed),
            "moments": moments(running.optimizer),
            "mean": self.mean,
            "best": self.best,
        }
        tensors = {f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        facts = {
            "position": asdict(self.at),
            "learning_rate": self.rate,
            "finder": self.finder,
            "scaler": running.scaler.state_dict(),
        }
        self.checkpoints.save(self.at.steps, State(tensors, facts))

    def _restore(self, state: State, weights: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Put a checkpoint's tensors back where they were."""
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "moments": {}, "mean": {}, "best": {}}
        for key, tensor in state.tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = tensor.to(self.runtime.device)
        buffers = dict(self.network.model.named_buffers())
        with torch.no_grad():
            for name, tensor in parts["weights"].items():
                (weights[name] if name in weights else buffers[name]).copy_(tensor)
        load_moments(optimizer, parts["moments"])
        self.mean, self.best = parts["mean"], parts["best"]

    def _batches(self) -> list[Batch]:
        """Return the batches of the current epoch."""
        labels = self.dataset.labels[self.rows]
        return list(epoch_batches(self.rows, labels, epoch=self.at.epochs, training=self.training, seed=self.seed))

    def _result(self) -> Trained:
        """Return the weights to keep: the best ones where they were kept, else the running mean, else the last."""
        tensors = self.best or self._tensors(self.thawed) | self.mean  # what thawed after the best epoch is left out
        history = {name: tuple(values) for name, values in self.at.history.items()}
        return Trained(
            {name: tensor.detach().cpu() for name, tensor in tensors.items()},
            Curve(**history),
            time.monotonic() - self.began_at,
            self.rate,
            self.finder,
            epochs=self.at.steps / self.course.num_steps,
            wanted_epochs=sum(phase.epochs for phase in self.phases),
        )
