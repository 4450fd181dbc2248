"""A saved package of Core ML's -> its program, computed step by step in float32 by torch, on any machine.

One idea: the format describes every operation, so what was written can be checked without Core ML: wrong padding, a
lost weight or a swapped side would show. It is for proofs: slow, one picture at a time, and nothing is guessed: a
program with an operation that is not written out here is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from thawline.core.errors import BundleError

__all__ = ["MilProgram", "UnknownOperationError"]

Arguments = Mapping[str, Any]


class UnknownOperationError(BundleError):
    """A program has an operation that only Core ML knows."""


class MilProgram:
    """The program of a package, read back from its files."""

    def __init__(self, coremltools: Any, package: Path, *, outputs: Sequence[str]) -> None:
        """Read a package.

        Args:
            coremltools: The library.
            package: `model.mlpackage`.
            outputs: Names of the numbers that it answers with: the probabilities, and perhaps how strange it looks.

        Raises:
            UnknownOperationError: It has an operation that is not known here.
        """
        from coremltools.converters.mil.frontend.milproto.load import load

        model = coremltools.models.MLModel(str(package), skip_model_load=True)
        spec = model.get_spec()
        loaded = load(spec, specification_version=spec.specificationVersion, file_weights_dir=model.weights_dir)
        self._function = loaded.functions["main"]
        self._outputs = tuple(outputs)
        kinds = {operation.op_type for operation in self._function.operations}
        if unknown := sorted(kinds - set(OPERATIONS) - {"const", "classify"}):
            raise UnknownOperationError(
                f"load {package.name}: its program has {', '.join(unknown)}, which cannot be computed here, so nothing "
                "proves it. Do it on a Mac, or export --to onnx."
            )

    def run(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the outputs for one picture.

        Args:
            inputs: (1, 3, H, W) float32 pixels from 0 to 255, by name.
        """
        values: dict[str, Any] = dict(inputs)
        shares = ""
        with torch.inference_mode():
            for operation in self._function.operations:
                given = {name: _value(each, values) for name, each in operation.inputs.items()}
                if operation.op_type == "classify":
                    shares = operation.inputs["probabilities"].name
                elif operation.op_type != "const":
                    found = OPERATIONS[operation.op_type](given)
                    outputs = [found] if isinstance(found, Tensor) else found
                    values.update({each.name: part for each, part in zip(operation.outputs, outputs, strict=True)})
        names = [shares, *self._outputs[1:]]
        return [values[name] for name in names]


def _value(variable: Any, values: Mapping[str, Any]) -> Any:
    """Return a tensor for what is computed, and for constants a tensor, or a plain value where it is no array."""
    if isinstance(variable, list | tuple):
        return [_value(each, values) for each in variable]
    if variable.name in values:
        return values[variable.name]
    constant = variable.val
    if isinstance(constant, np.ndarray):
        return torch.from_numpy(np.array(constant))
    return constant.item() if isinstance(constant, np.generic) else constant


def _ints(value: Any) -> list[int]:
    return [int(each) for each in (value.tolist() if isinstance(value, Tensor) else value)]


def _conv(a: Arguments) -> Tensor:
    x, kind = a["x"], a.get("pad_type", "valid")
    strides, dilations = _ints(a.get("strides", (1, 1))), _ints(a.get("dilations", (1, 1)))
    kernel = a["weight"].shape[2:]
    if kind == "custom":
        top, bottom, left, right = _ints(a["pad"])
    elif kind == "valid":
        top = bottom = left = right = 0
    else:  # same, same_lower: as TensorFlow's
        needs = [
            max(0, (-(-size // stride) - 1) * stride + (side - 1) * step + 1 - size)
            for size, stride, side, step in zip(x.shape[2:], strides, kernel, dilations, strict=True)
        ]
        first = [(need + (kind == "same_lower")) // 2 for need in needs]
        top, left = first
        bottom, right = needs[0] - top, needs[1] - left
    padded = functional.pad(x, (left, right, top, bottom))
    return functional.conv2d(
        padded, a["weight"], a.get("bias"), stride=strides, dilation=dilations, groups=int(a.get("groups", 1))
    )


def _pad(a: Arguments) -> Tensor:
    pads = _ints(a["pad"])
    pairs = [pads[place : place + 2] for place in range(0, len(pads), 2)]
    if a.get("mode", "constant") != "constant":
        raise UnknownOperationError(f"load: padding by {a['mode']} is not known here.")
    flat = [each for pair in reversed(pairs) for each in pair]
    return functional.pad(a["x"], flat, value=float(a.get("constant_val", 0.0)))


def _reduced(reduce: Callable[..., Tensor]) -> Callable[[Arguments], Tensor]:
    def run(a: Arguments) -> Tensor:
        x = a["x"]
        axes = _ints(a["axes"]) if a.get("axes") is not None else list(range(x.ndim))
        return reduce(x, dim=axes, keepdim=bool(a.get("keep_dims", False)))

    return run


def _cast(a: Arguments) -> Tensor:
    types = {"fp16": torch.float16, "fp32": torch.float32, "int32": torch.int32, "bool": torch.bool}
    x: Tensor = a["x"]
    return x.to(types[a["dtype"]])


def _matmul(a: Arguments) -> Tensor:
    x, y = a["x"], a["y"]
    x = x.transpose(-1, -2) if a.get("transpose_x") else x
    product: Tensor = x @ (y.transpose(-1, -2) if a.get("transpose_y") else y)
    return product


def _gather(a: Arguments) -> Tensor:
    x, indices, axis = a["x"], torch.as_tensor(a["indices"]).long(), int(a.get("axis", 0))
    taken = torch.index_select(x, axis, indices.flatten())
    return taken.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _slice(a: Arguments) -> Tensor:
    x: Tensor = a["x"]
    begin, end = _ints(a["begin"]), _ints(a["end"])
    stride = _ints(a["stride"]) if a.get("stride") is not None else [1] * x.ndim
    begins = [bool(each) for each in a["begin_mask"]] if a.get("begin_mask") is not None else [False] * x.ndim
    ends = [bool(each) for each in a["end_mask"]] if a.get("end_mask") is not None else [False] * x.ndim
    squeezed = [bool(each) for each in a["squeeze_mask"]] if a.get("squeeze_mask") is not None else [False] * x.ndim
    for axis in range(x.ndim):
        start = 0 if begins[axis] else begin[axis] % x.shape[axis] if begin[axis] < 0 else begin[axis]
        if squeezed[axis]:
            stop = start + 1
        else:
            stop = x.shape[axis] if ends[axis] else end[axis] + (x.shape[axis] if end[axis] < 0 else 0)
        x = torch.index_select(x, axis, torch.arange(start, stop, stride[axis]))
    return x.squeeze([axis for axis in range(x.ndim) if squeezed[axis]]) if any(squeezed) else x


def _split(a: Arguments) -> Sequence[Tensor]:
    x, axis = a["x"], int(a["axis"])
    if a.get("split_sizes") is not None:
        return torch.split(x, _ints(a["split_sizes"]), dim=axis)
    return torch.chunk(x, int(a["num_splits"]), dim=axis)


def _topk(a: Arguments) -> Sequence[Tensor]:
    values, places = torch.topk(a["x"], int(a["k"]), dim=int(a.get("axis", -1)), largest=not a.get("ascending", False))
    return (values, places) if a.get("return_indices", True) else (values,)


def _avg_pool(a: Arguments) -> Tensor:
    kind = a.get("pad_type", "valid")
    top, bottom, left, right = _ints(a["pad"]) if kind == "custom" else (0, 0, 0, 0)
    if kind not in {"valid", "custom"} or (top, left) != (bottom, right) or a.get("ceil_mode"):
        raise UnknownOperationError(f"load: an average padded by {kind} is not known here.")
    excludes, strides = bool(a.get("exclude_padding_from_average", False)), _ints(a.get("strides", (1, 1)))
    sides = _ints(a["kernel_sizes"])
    return functional.avg_pool2d(a["x"], sides, strides, (top, left), count_include_pad=not excludes)


def _layer_norm(a: Arguments) -> Tensor:
    axes = _ints(a["axes"])
    shape = [a["x"].shape[axis] for axis in axes]
    return functional.layer_norm(a["x"], shape, a.get("gamma"), a.get("beta"), float(a.get("epsilon", 1e-5)))


def _batch_norm(a: Arguments) -> Tensor:
    epsilon = float(a.get("epsilon", 1e-5))
    return functional.batch_norm(a["x"], a["mean"], a["variance"], a.get("gamma"), a.get("beta"), eps=epsilon)


def _gelu(a: Arguments) -> Tensor:
    if a.get("mode", "EXACT") == "SIGMOID_APPROXIMATION":
        raise UnknownOperationError("load: gelu by a sigmoid is not known here.")
    return functional.gelu(a["x"], approximate="none" if a.get("mode", "EXACT") == "EXACT" else "tanh")


def _max_pool(a: Arguments) -> Tensor:
    kind = a.get("pad_type", "valid")
    if kind not in {"valid", "custom"} or a.get("ceil_mode"):
        raise UnknownOperationError(f"load: a pooling padded by {kind} is not known here.")
    top, bottom, left, right = _ints(a["pad"]) if kind == "custom" else (0, 0, 0, 0)
    padded = functional.pad(a["x"], (left, right, top, bottom), value=-torch.inf)
    return functional.max_pool2d(padded, _ints(a["kernel_sizes"]), _ints(a.get("strides", (1, 1))))


def _as(value: Any) -> Tensor:
    return torch.as_tensor(value)


OPERATIONS: dict[str, Callable[[Arguments], Tensor | Sequence[Tensor]]] = {
    "abs": lambda a: a["x"].abs(),
    "add": lambda a: a["x"] + a["y"],
    "avg_pool": _avg_pool,
    "batch_norm": _batch_norm,
    "cast": _cast,
    "clip": lambda a: a["x"].clamp(float(a["alpha"]), float(a["beta"])),
    "concat": lambda a: torch.cat(a["values"], dim=int(a["axis"])),
    "conv": _conv,
    "elu": lambda a: functional.elu(a["x"], float(a.get("alpha", 1.0))),
    "erf": lambda a: a["x"].erf(),
    "exp": lambda a: a["x"].exp(),
    "expand_dims": lambda a: _expanded(a["x"], _ints(a["axes"])),
    "gather": _gather,
    "gelu": _gelu,
    "identity": lambda a: a["x"],
    "layer_norm": _layer_norm,
    "leaky_relu": lambda a: functional.leaky_relu(a["x"], float(a.get("alpha", 0.01))),
    "linear": lambda a: functional.linear(a["x"], a["weight"], a.get("bias")),
    "log": lambda a: (a["x"] + float(a.get("epsilon", 1e-45))).log(),
    "matmul": _matmul,
    "max_pool": _max_pool,
    "maximum": lambda a: torch.maximum(_as(a["x"]), _as(a["y"])),
    "minimum": lambda a: torch.minimum(_as(a["x"]), _as(a["y"])),
    "mul": lambda a: a["x"] * a["y"],
    "pad": _pad,
    "pow": lambda a: a["x"] ** a["y"],
    "real_div": lambda a: a["x"] / a["y"],
    "reduce_l2_norm": _reduced(torch.linalg.vector_norm),
    "reduce_log_sum_exp": _reduced(torch.logsumexp),
    "reduce_max": _reduced(torch.amax),
    "reduce_mean": _reduced(torch.mean),
    "reduce_min": _reduced(torch.amin),
    "reduce_sum": _reduced(torch.sum),
    "relu": lambda a: a["x"].relu(),
    "relu6": lambda a: a["x"].clamp(0, 6),
    "reshape": lambda a: a["x"].reshape(_ints(a["shape"])),
    "rsqrt": lambda a: (a["x"] + float(a.get("epsilon", 1e-12))).rsqrt(),
    "select": lambda a: torch.where(a["cond"], _as(a["a"]), _as(a["b"])),
    "sigmoid": lambda a: a["x"].sigmoid(),
    "sigmoid_hard": lambda a: (float(a["alpha"]) * a["x"] + float(a["beta"])).clamp(0, 1),
    "sign": lambda a: a["x"].sign(),
    "silu": lambda a: functional.silu(a["x"]),
    "slice_by_index": _slice,
    "softmax": lambda a: a["x"].softmax(int(a.get("axis", -1))),
    "softplus": lambda a: functional.softplus(a["x"]),
    "split": _split,
    "sqrt": lambda a: a["x"].sqrt(),
    "square": lambda a: a["x"].square(),
    "squeeze": lambda a: a["x"].squeeze(_ints(a["axes"])) if a.get("axes") is not None else a["x"].squeeze(),
    "stack": lambda a: torch.stack(a["values"], dim=int(a["axis"])),
    "sub": lambda a: a["x"] - a["y"],
    "tanh": lambda a: a["x"].tanh(),
    "thresholded_relu": lambda a: torch.where(a["x"] >= float(a.get("alpha", 1.0)), a["x"], 0.0),
    "tile": lambda a: a["x"].tile(_ints(a["reps"])),
    "topk": _topk,
    "transpose": lambda a: a["x"].permute(_ints(a["perm"])),
}
"""What each operation computes, as the format describes it."""


def _expanded(x: Tensor, axes: Sequence[int]) -> Tensor:
    rank = x.ndim + len(axes)
    for axis in sorted(each % rank for each in axes):
        x = x.unsqueeze(axis)
    return x
