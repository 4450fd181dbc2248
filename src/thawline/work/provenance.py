"""A comparison and what came of it -> what a run stands on: networks, input, pictures, options, times, versions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from thawline.core.runtime import package_versions
from thawline.features.backbone import Backbone
from thawline.work.model import options_json
from thawline.work.rows import Outcome
from thawline.work.session import Compared

__all__ = ["provenance"]


def provenance(compared: Compared, outcome: Outcome) -> dict[str, Any]:
    """Return what a run stands on, as plain data.

    `backbone` and `input` are those of the model that is kept; where it reads several networks, of the first, and
    `networks` has all of them. `compared` names the networks of the comparison where there were several.
    """
    session = compared.session
    first, *further = [network.backbone for network in outcome.classifier.networks]
    name = session.order.expectations.name
    names = [network.backbone.name for network in session.context.networks]
    return {
        **({"recipe": name} if name else {}),
        "backbone": _facts(first),
        "input": asdict(first.input),
        **({"networks": [_facts(one) | {"input": asdict(one.input)} for one in (first, *further)]} if further else {}),
        **({"compared": names} if len(names) > 1 else {}),
        "bank": compared.bank.key,
        "pictures_key": compared.dataset.images_key,
        "pictures and labels": compared.dataset.labelled_key,
        "options": options_json(session.order.options),
        "runtime": asdict(session.context.runtime),
        "seconds": {f"{part}_s": seconds for part, seconds in session.clock.parts.items()},
        "versions": package_versions(),
    }


def _facts(backbone: Backbone) -> dict[str, Any]:
    return {
        "name": backbone.name,
        "weights": backbone.weights_origin,
        "licence": backbone.license,
        "sha256": backbone.weights_sha256,
        "parameters": backbone.num_params,
    }
