"""The recurrent model by itself, as transformers uses it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from core.engine.recurrent import RecurrentConfig, RecurrentForCausalLM
from tests.core.engine.architectures import ARCHITECTURES

TEXTS = ([5, 17, 40, 77], [33, 9], [61, 61, 90, 12, 3, 8])
GREEDY: dict[str, Any] = {"do_sample": False, "max_new_tokens": 6, "pad_token_id": 0}


@pytest.fixture(scope="module")
def model() -> Any:
    return ARCHITECTURES["recurrent"](100, 64)


def padded(side: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The texts in one tensor, and its mask."""
    width = max(map(len, TEXTS))
    rows, masks = [], []
    for text in TEXTS:
        rest = [0] * (width - len(text))
        rows.append(rest + text if side == "left" else text + rest)
        masks.append([int(token > 0) for token in rows[-1]])
    return torch.tensor(rows), torch.tensor(masks)


def test_it_is_saved_and_loaded_by_transformers_own_names(model: Any, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.tensor([TEXTS[0]])
    assert isinstance(loaded, RecurrentForCausalLM)
    assert AutoConfig.from_pretrained(tmp_path).to_dict() == loaded.config.to_dict()
    assert torch.allclose(loaded(ids).logits, model(ids).logits)


def test_it_speaks_with_no_prompt(model: Any) -> None:
    torch.manual_seed(1)
    said = model.generate(do_sample=True, max_new_tokens=8, num_return_sequences=4, pad_token_id=0)
    assert set(said[:, 0].tolist()) == {model.config.bos_token_id}
    assert len({tuple(row) for row in said.tolist()}) == 4


def test_a_batch_of_any_lengths_says_what_each_text_gets_alone(model: Any) -> None:
    ids, mask = padded("left")
    together = model.generate(ids, attention_mask=mask, **GREEDY)[:, ids.shape[1] :].tolist()
    alone = [model.generate(torch.tensor([text]), **GREEDY)[0, len(text) :].tolist() for text in TEXTS]
    assert together == alone
    anew = [
        model.generate(torch.tensor([text]), use_cache=False, **GREEDY)[0, len(text) :].tolist() for text in TEXTS
    ]
    assert anew == alone


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_moves_no_state_and_no_loss(model: Any, side: str) -> None:
    ids, mask = padded(side)
    output = model(ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100))
    alone = [model(torch.tensor([text]), labels=torch.tensor([text])) for text in TEXTS]
    for row, single in zip(output.state, alone, strict=True):
        assert torch.allclose(row, single.state[0])
    tokens = [len(text) - 1 for text in TEXTS]
    mean = sum(one.loss * n for one, n in zip(alone, tokens, strict=True)) / sum(tokens)
    if side == "right":  # on the left what is before a text seems to be its beginning
        assert torch.allclose(output.loss, mean)
    nothing = model(ids[:, :1], attention_mask=torch.zeros(3, 1), state=output.state)
    assert torch.equal(nothing.state, output.state)


def test_beams_carry_their_own_states(model: Any) -> None:
    ids = torch.tensor([TEXTS[0]])
    beams = model.generate(ids, num_beams=4, **GREEDY)
    assert torch.equal(beams, model.generate(ids, num_beams=4, use_cache=False, **GREEDY))


def test_an_embedding_can_be_the_output_layer_when_it_is_as_wide(tmp_path: Path) -> None:
    config = RecurrentConfig(vocab_size=50, hidden_size=8, tie_word_embeddings=True)
    tied = RecurrentForCausalLM(config)
    assert tied.lm_head.weight is tied.embedding.weight
    tied.save_pretrained(tmp_path)
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(loaded.lm_head.weight, tied.embedding.weight)
    with pytest.raises(ValueError, match="embedding_size"):
        RecurrentConfig(hidden_size=8, embedding_size=4, tie_word_embeddings=True)
