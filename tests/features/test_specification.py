"""What a bank's description says is read back, and a damaged one is said to be."""

from __future__ import annotations

import pytest

from thawline.core.errors import StoreError
from thawline.core.store import write_json
from thawline.core.types import InputSpec
from thawline.features.specification import BankSpec, bank_form, spec_key

SPEC = BankSpec(
    backbone_name="tiny",
    weights_sha256="ab" * 32,
    input=InputSpec(size_px=32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
    views=("plain", "flip.1"),
    compute="float32",
    storage="float16",
    cuts=(("stage1", 3),),
    poolings=("mean", "std"),
    blocks=((0, "mean", 3), (0, "std", 4)),
)


def test_the_form_of_a_bank_s_rows_is_read_off_its_description(tmp_path):
    write_json(tmp_path / "bank.json", SPEC.facts)
    assert bank_form(tmp_path) == ("float16", (2, 7))
    assert spec_key(SPEC.facts) == spec_key({**SPEC.facts, "backbone_name": "other"}) == SPEC.key


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"storage": "float17", "views": [], "blocks": []}'])
def test_a_damaged_description_is_said_to_be(tmp_path, text):
    (tmp_path / "bank.json").write_text(text)
    with pytest.raises(StoreError, match=r"^open the bank: .*bank\.json is damaged .* writes it again\.$"):
        bank_form(tmp_path)
