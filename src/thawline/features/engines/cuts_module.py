"""A network and the blocks that are read of it -> one module, and its graph in ONNX: pixels in, columns out.

One idea: what compilers get is the whole of what the eager reader does in a pass, normalisation and pooling included,
for batches of one shape; so a graph has one input and one output, and nothing is left to do outside of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from thawline.core.errors import BackboneError, UsageError
from thawline.core.runtime import Runtime
from thawline.features.folding import fold_batch_norms
from thawline.features.network import Network, lay_out_channels_last
from thawline.features.pooling import pooled
from thawline.features.specification import Block

__all__ = ["PIXELS", "CutsModule", "graph_of"]

PIXELS, FEATURES, OPSET = "pixels", "features", 18
MAX_GRAPH_BYTES = 2_000_000_000
"""One ONNX file holds less than 2 GiB."""


class CutsModule(nn.Module):
    """Reads a network at some blocks: (B, H, W, 3) uint8 pixels in, (B, D) float32 columns out.

    Attributes:
        network: A copy with its batch norms folded, on the CPU, in the number format.
        blocks: (cut, pooling) pairs in the order of the columns.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, network: Network, blocks: Sequence[Block], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        spec = network.backbone.input
        self.model = fold_batch_norms(network.model, spec.size_px).to(dtype)
        lay_out_channels_last(self.model)
        self.network, self.blocks, self.dtype = Network(network.backbone, self.model), tuple(blocks), dtype
        self.poolings: dict[int, list[str]] = {}
        for cut, pooling in self.blocks:
            self.poolings.setdefault(cut, []).append(pooling)
        self.register_buffer("mean", torch.tensor(spec.mean).mul_(255).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(spec.std).mul_(255).reciprocal_().view(1, 3, 1, 1))
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the columns of a batch."""
        x = ((pixels.permute(0, 3, 1, 2).float() - self.mean) * self.scale).to(self.dtype)
        by_block: dict[Block, Tensor] = {}
        for cut, activation in self.network.features(x, sorted(self.poolings)):
            columns = pooled(activation, self.poolings[cut], num_prefix_tokens=self.network.num_prefix_tokens)
            by_block.update({(cut, pooling): values for pooling, values in columns.items()})
        return torch.cat([by_block[block] for block in self.blocks], dim=1)


def graph_of(network: Network, blocks: Sequence[Block], *, runtime: Runtime) -> bytes:
    """Return an ONNX file that reads a network at some blocks, for batches of the runtime's size, in float32.

    Args:
        network: As loaded.
        blocks: (cut, pooling) pairs in the order of the columns.
        runtime: Its batch size counts.

    Raises:
        BackboneError: The network cannot be expressed in ONNX.
        UsageError: The exporter is not installed.
    """
    name, side = network.backbone.name, network.backbone.input.size_px
    if 4 * network.backbone.num_params > MAX_GRAPH_BYTES:
        raise BackboneError(f"extract: {name} is too large for an ONNX file. Pass --engine eager.")
    module = CutsModule(network, blocks)
    example = torch.zeros(runtime.batch_size, side, side, 3, dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of torch's own exporter about itself
            program: Any = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                input_names=[PIXELS],
                output_names=[FEATURES],
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
    except ImportError as error:
        raise UsageError(
            f"extract: onnx and onnxscript are needed and cannot be loaded ({error}). Run "
            "`pip install 'thawline[export]'`, or pass --engine eager."
        ) from None
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0][:200].rstrip(".")
        raise BackboneError(
            f"extract: {name} cannot be expressed in ONNX by torch {torch.__version__}: {reason}. "
            "Pass --engine eager, or inductor."
        ) from error
    content: bytes = program.model_proto.SerializeToString(deterministic=True)
    return content
