"""Training DMDNet: both outputs supervised, an optional discriminator, and the generic dictionary's start.

One step: both outputs and their losses, backward; the discriminator on real and restored pictures in one pass,
backward; a verdict whether every number is finite; then the optimisers and the average of the weights, which the
verdict keeps from changing anything where it has to.

Shape suffixes: B batch, R references, C channels, H W pixels, 4 boxes x 4 corners.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dmdnet.config.options import Options
from dmdnet.data.batch import FaceBatch
from dmdnet.errors import ConfigError
from dmdnet.images import to_float
from dmdnet.losses.base import build_losses
from dmdnet.models.adversary import Adversary
from dmdnet.models.base import Model
from dmdnet.models.buffers import Buffers
from dmdnet.models.compiling import compile_networks
from dmdnet.models.ema import EMA
from dmdnet.models.face_tensors import FaceTensors, face_tensors
from dmdnet.models.finite import StepNumbers, Watch
from dmdnet.models.generic_dictionary import DictionaryUsage, dictionary_faces
from dmdnet.models.gradient_norms import term_gradient_norms, undisturbed
from dmdnet.models.loading import load_exactly
from dmdnet.models.loss_scale import LossScale
from dmdnet.models.means import Mean, without
from dmdnet.models.memory import explained_shortage
from dmdnet.models.memory_format import convolutions_channels_last
from dmdnet.models.modes import MODES, restore_modes
from dmdnet.models.objective import Objective, Output, Term, joined, total
from dmdnet.models.optimisation import Optimisation
from dmdnet.models.parameter_groups import freeze
from dmdnet.models.reading import Reading, reading_statistics
from dmdnet.models.recomputing import blocks_to_recompute, recompute
from dmdnet.registry import MODELS, Runtime

OUTPUTS = ("generic", "specific")
_AMP = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class TrainingForward(nn.Module):
    """Enrolling and restoring in one forward, which is what data-parallel training has to see."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        self._components = [site.component_index for site in net.sites]

    def forward(self, faces: FaceTensors) -> dict[str, Any]:
        """Return `generic`, `specific`, `generic_weights` and `reading`, the `reading_statistics`.

        Without references a face's two outputs are equal.
        """
        dictionary = self.net.enrol(faces.refs_BRCHW, faces.ref_boxes_BR44, faces.mask_BR)
        output = self.net(faces.lq_BCHW, faces.lq_boxes_B44, dictionary)
        return {
            "generic": output.generic,
            "specific": output.specific,
            "generic_weights": output.generic_weights,
            "reading": reading_statistics(output, dictionary.valid_B3R, self._components),
        }


def weighted_outputs(result: Mapping[str, Any], faces: FaceTensors) -> dict[str, Output]:
    """Return both outputs; the specific one counts for the samples that have references."""
    everyone = torch.ones(len(faces.mask_BR))
    with_references = faces.mask_BR.any(dim=1).float()
    weights = dict(zip(OUTPUTS, (everyone, with_references), strict=True))
    device = faces.lq_BCHW.device
    return {name: Output(result[name], weight.to(device, non_blocking=True)) for name, weight in weights.items()}


@MODELS.register()
class DMDNetModel(Model):
    """DMDNet with its losses, optimisers and EMA.

    Args:
        dictionary_init: how the generic dictionary starts: "encoded" from training faces (random keys over
            thousands of dimensions make the softmax one-hot, and most slots would never learn), or "random".
        channels_last: how pictures and convolutions lie in memory; faster on CPUs and GPUs alike.
    """

    modes = MODES

    def __init__(
        self,
        *,
        options: Runtime[Options],
        networks: Runtime[dict[str, nn.Module]],
        device: Runtime[torch.device],
        train: Runtime[bool],
        dictionary_init: Literal["encoded", "random"] = "encoded",
        channels_last: bool = True,
    ) -> None:
        self.options = options
        self.device = device
        self.dictionary_init = dictionary_init
        self.channels_last = channels_last
        self.net_g: Any = networks["net_g"]
        self.amp: torch.dtype | None = None  # a test is float32, whatever its option file says of training
        self.ema: EMA | None = None
        self.adversary: Adversary | None = None
        if channels_last:
            for network in networks.values():
                convolutions_channels_last(network)
        if train:
            self._build_training(networks.get("net_d"))
        else:
            self.net_g.eval()

    def _build_training(self, net_d: nn.Module | None) -> None:
        recipe = self.options.train
        if recipe is None:
            raise ConfigError(f"{self.options.name}: the options have no 'train'; add it, or use test.py")
        self.objective = Objective(build_losses(recipe.losses, self.options.path.given_weights)).to(self.device)
        self.amp = _AMP[recipe.amp]
        self._scale = LossScale(self.device, enabled=recipe.amp == "fp16")
        self._recipe = recipe
        self._frozen = freeze(self.net_g, recipe.freeze)
        self.optim_g = Optimisation(self.net_g, recipe.optim_g, recipe, recipe.lr_multipliers)
        self.adversary = Adversary.build(net_d, self.objective, recipe)
        if self.adversary is not None:
            self.adversary.check(self.net_g.size.image_size, self.device)
        if recipe.ema_decay:
            self.ema = EMA(copy.deepcopy(self.net_g), self.net_g, recipe.ema_decay)
        self._watch = Watch(recipe.non_finite, recipe.max_non_finite, recipe.loss_spike, self.device)
        self._buffers = Buffers(self.networks().values())
        recomputed = blocks_to_recompute(self.net_g) if recipe.activation_checkpointing else []
        compile_networks(self.networks().values(), recipe.compile, self.device, recomputed)
        recompute(recomputed)
        self._forward: nn.Module = TrainingForward(self.net_g).train()
        self._norms_every = self.options.logger.grad_norm_freq
        self._usage = DictionaryUsage()
        self._reading = Reading([site.name for site in self.net_g.sites])

    def networks(self) -> dict[str, nn.Module]:
        """Return the trained networks by file name."""
        found: dict[str, nn.Module] = {"net_g": self.net_g}
        if self.adversary is not None:
            found["net_d"] = self.adversary.net
        return found

    def setup(self, dataset: Any) -> None:
        """Start the generic dictionary from `dictionary_size` training faces, unless weights were given."""
        if self.dictionary_init == "encoded" and self.options.path.pretrain_network_g is None:
            images, boxes = dictionary_faces(dataset, self.net_g.size.dictionary_size, self.options.manual_seed)
            self.net_g.initialise_generic_dictionary(to_float(images), boxes)
        if self.ema is not None:
            self.ema.reset()

    def distribute(self) -> None:
        """Wrap both networks for torch's DistributedDataParallel where several ranks run."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return
        # Spectral norm's u and v follow from the weights alone: equal on all ranks without a broadcast.
        one_part = self._recipe.accumulate == 1
        self._forward = DistributedDataParallel(
            self._forward, broadcast_buffers=False, gradient_as_bucket_view=True, static_graph=one_part
        )
        if self.adversary is not None:
            self.adversary.distribute()

    def _autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, dtype=self.amp, enabled=self.amp is not None)

    def step(self, batch: FaceBatch, iteration: int) -> dict[str, Mean]:
        """Train on one batch; see the top of this file."""
        logs = {"lr": Mean.scalar(self.optim_g.set_learning_rate(iteration), self.device)}
        adversary = self.adversary if self.adversary and self.objective.adversarial(iteration) else None
        steps = {"net_g": self.optim_g}
        if adversary:
            steps["net_d"] = adversary.optimisation
            logs["lr_net_d"] = Mean.scalar(adversary.optimisation.set_learning_rate(iteration), self.device)
        for optimisation in steps.values():
            optimisation.zero_grad()

        # The gradients of the whole batch, part by part
        for module in self._frozen:
            module.eval()  # `train` of the network sets it back
        with explained_shortage(batch, iteration, self.device, self._recipe):
            if self._norms_every and iteration % self._norms_every == 0:
                logs |= self._term_norms(batch, adversary, iteration)
            self._buffers.remember()
            terms, objective = self._backward_in_parts(batch, adversary, iteration)
        logs |= {name: Mean.of(term.value_B, term.weight_B) for name, term in terms.items()}
        scale = self._scale.unscale([optimisation.optimizer for optimisation in steps.values()])
        norms = {name: optimisation.gradient_norm() for name, optimisation in steps.items()}

        # Nothing is updated unless every number is finite: the device decides, the host does not wait for it
        values = {name: term.value_B for name, term in terms.items()}
        skip = self._watch.judge(StepNumbers(values, objective, norms, batch.names, iteration, scale))
        self.before_update()
        with explained_shortage(batch, iteration, self.device, self._recipe):  # the first step makes the moments
            for optimisation in steps.values():
                optimisation.step(skip)
            self._buffers.undo(skip)
            if self.ema is not None:
                self.ema.update(iteration, skip)
        self._watch.settle_where_free()
        logs |= {f"grad_norm_{name}": Mean.scalar(norm, self.device) for name, norm in norms.items()}
        return without(logs, skip)

    def _term_norms(self, batch: FaceBatch, adversary: Adversary | None, iteration: int) -> dict[str, Mean]:
        """Return the norms of the gradients of all terms, each alone, of the batch's first part."""
        part = batch.rows(slice(-(-len(batch) // self._recipe.accumulate)))
        faces = face_tensors(part, self.device, self.channels_last)
        target = (faces.gt_BCHW, faces.gt_boxes_B44)
        forward = self._forward.module if isinstance(self._forward, DistributedDataParallel) else self._forward
        with undisturbed(self.networks().values(), self.device) as set_back:

            def terms(name: str) -> dict[str, Term]:
                set_back()
                judge = adversary.freeze() if adversary else None
                with self._autocast():
                    outputs = weighted_outputs(forward(faces), faces)
                    return self.objective(outputs, *target, judge, iteration, only=name)

            names = self.objective.term_names(OUTPUTS, adversary is not None, iteration)
            norms = term_gradient_norms(names, terms, self.optim_g.parameters, self._scale.scale)
            if not adversary:
                return norms
            set_back()
            with torch.no_grad(), self._autocast():
                outputs = weighted_outputs(forward(faces), faces)
            losses = self.objective.adversarial(iteration)

            def terms_d(name: str) -> dict[str, Term]:
                set_back()
                with self._autocast():
                    return adversary.terms(*target, outputs, losses, iteration, bare=True)

            names = adversary.term_names(losses, iteration)
            return norms | term_gradient_norms(names, terms_d, adversary.optimisation.parameters, self._scale.scale)

    def _backward_in_parts(
        self, batch: FaceBatch, adversary: Adversary | None, iteration: int
    ) -> tuple[dict[str, Term], Tensor]:
        """Add up the gradients of `train.accumulate` parts of the batch; they are those of the batch as a whole.

        Each part counts by its samples, makes the same power iterations as the first, and only the last is reduced
        over the ranks. Return the terms, without their graphs, and the generator's objective.
        """
        size = -(-len(batch) // self._recipe.accumulate)
        parts = [batch.rows(slice(start, start + size)) for start in range(0, len(batch), size)]
        if len(parts) == 1:
            parts = [batch]
        found, objectives = [], []
        for number, part in enumerate(parts):
            if number:
                self._buffers.replay()
            with ExitStack() as stack:
                if number + 1 < len(parts):
                    self._without_reduction(stack, adversary)
                share = None if len(parts) == 1 else len(part) / len(batch)
                terms, objective = self._backward(part, adversary, iteration, share)
            found.append(terms)
            objectives.append(objective)
        return joined(found), torch.stack(objectives).sum()

    def _backward(
        self, batch: FaceBatch, adversary: Adversary | None, iteration: int, share: float | None
    ) -> tuple[dict[str, Term], Tensor]:
        """Add the gradients of one part, `share` of the batch (None: all of it), to those of both networks."""
        faces = face_tensors(batch, self.device, self.channels_last)

        def backward(terms: Mapping[str, Term]) -> Tensor:
            loss = total(terms) if share is None else share * total(terms)
            self._scale.scale(loss).backward()
            return loss.detach()

        # Both outputs and their losses
        with self._autocast():
            outputs = self._outputs(faces)
            discriminator = adversary.freeze() if adversary else None
            terms = self.objective(outputs, faces.gt_BCHW, faces.gt_boxes_B44, discriminator, iteration)
        objective = backward(terms)

        # The discriminator, in one pass over real and restored pictures
        if adversary:
            with self._autocast():
                losses = self.objective.adversarial(iteration)
                terms_d = adversary.terms(faces.gt_BCHW, faces.gt_boxes_B44, outputs, losses, iteration)
            backward(terms_d)
            terms = {**terms, **terms_d}
        return terms, objective

    def _without_reduction(self, stack: ExitStack, adversary: Adversary | None) -> None:
        """Keep data-parallel training from reducing gradients that are not complete."""
        modules = [self._forward, *((adversary.trained,) if adversary else ())]
        for module in modules:
            if isinstance(module, DistributedDataParallel):
                stack.enter_context(module.no_sync())

    def settle(self) -> None:
        """Read the verdicts on the steps since the last call."""
        self._watch.settle()

    def _outputs(self, faces: FaceTensors) -> dict[str, Output]:
        result = self._forward(faces)
        self._usage.add(result["generic_weights"])
        self._reading.add(result["reading"])
        return weighted_outputs(result, faces)

    def statistics(self) -> dict[str, float]:
        """Return the use of both dictionaries, and what the masks were, since the last call."""
        return self._usage.pop() | self._reading.pop()

    @torch.no_grad()
    def restore(self, batch: FaceBatch, modes: Sequence[str], use_ema: bool = True) -> dict[str, Tensor]:
        """Return mode -> pictures, for modes among input, generic, specific, wrong_person."""
        net = self.ema.module if use_ema and self.ema is not None else self.net_g
        was_training = net.training
        net.eval()
        try:
            with self._autocast():
                return restore_modes(net, batch, modes, self.device)
        finally:
            net.train(was_training)

    def weights(self) -> dict[str, dict[str, Any]]:
        """Return the contents of the network files."""
        net_g = {"params": self.net_g.state_dict(), "network": self.options.network_g.as_dict()}
        if self.ema is not None:
            net_g["params_ema"] = self.ema.module.state_dict()
        found = {"net_g": net_g}
        if self.adversary is not None and self.options.network_d is not None:
            found["net_d"] = {
                "params": self.adversary.net.state_dict(),
                "network": self.options.network_d.as_dict(),
            }
        return found

    def load_weights(self, weights: Mapping[str, Mapping[str, Any]]) -> None:
        """Take `weights()` back."""
        load_exactly(self.net_g, weights["net_g"]["params"], "net_g")
        if self.ema is not None:
            load_exactly(self.ema.module, weights["net_g"].get("params_ema", weights["net_g"]["params"]), "net_g (EMA)")
        if self.adversary is not None and "net_d" in weights:
            load_exactly(self.adversary.net, weights["net_d"]["params"], "net_d")

    def state_dict(self) -> dict[str, Any]:
        """Return the optimisers' states, the loss scale, and what is known of steps that were left out."""
        state = {"optim_g": self.optim_g.state_dict(), "non_finite": self._watch.state_dict()}
        state["loss_scale"] = self._scale.state_dict()
        if self.adversary is not None:
            state["optim_d"] = self.adversary.optimisation.state_dict()
        return state

    def changed_by_updates(self) -> list[Tensor]:
        """Return parameters, their averages and moments; buffers change with every forward."""
        networks = [*self.networks().values(), *([self.ema.module] if self.ema is not None else [])]
        optimisers = [self.optim_g, *([self.adversary.optimisation] if self.adversary is not None else [])]
        found: list[Tensor] = [parameter for network in networks for parameter in network.parameters()]
        return [*found, *(moment for optimisation in optimisers for moment in optimisation.moments())]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take `state_dict()` back."""
        self.optim_g.load_state_dict(state["optim_g"])
        if self.adversary is not None and "optim_d" in state:
            self.adversary.optimisation.load_state_dict(state["optim_d"])
        if "non_finite" in state:  # not in the checkpoints of version 0.1
            self._watch.load_state_dict(state["non_finite"])
        self._scale.load_state_dict(state.get("loss_scale", {}))
