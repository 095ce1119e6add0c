"""MiniLM: the small BERT that sentence embeddings are made with."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from transfer_lab.backbones.tokens import VOCABULARY_SIZE, TokenBackbone, tokens

_POSITIONS = 512
_HEAD_WIDTH = 32
_EPSILON = 1e-12
_UNUSED = ("pooler.", "embeddings.position_ids")
"""What a file holds besides: a layer on [CLS], which sentence embeddings do without."""


class MiniLM(TokenBackbone):
    """all-MiniLM-L6 (Wang et al. 2020; Reimers & Gurevych 2019): a sentence's embedding.

    Reads text domains. A stage is the embeddings, or a block; behind the last block tokens are
    averaged and the average is scaled to a length of sqrt(width), which is 1 a feature.
    Positions without a token are zero in every stage's output. Of a text 512 tokens are read.

    Options: `layers`: number of blocks, the first ones where weights are loaded; `width`: features
    of a token, a multiple of 32; `dropout`: share of each block's outputs that training drops.
    """

    def __init__(self, image_size: int, *, layers: int = 6, width: int = 384, dropout: float = 0.1):
        if layers < 1:
            raise ValueError("layers must be at least 1")
        if width < 1 or width % _HEAD_WIDTH:
            raise ValueError(f"width must be a multiple of {_HEAD_WIDTH}, not {width}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {dropout}")
        blocks = [_Block(width, dropout) for _ in range(layers - 1)]
        stages = [_Embeddings(width, dropout), *blocks, _LastBlock(width, dropout)]
        super().__init__(stages, num_features=width)

    def initialise(self) -> None:
        """BERT's: normal with a deviation of 0.02, biases zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def translate(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """From the names of transformers' `BertModel`; raises ValueError for a tensor that is none
        of its."""
        if not any(key.startswith("embeddings.") for key in state):
            return super().translate(state)
        return {_stage_key(k): v for k, v in state.items() if not k.startswith(_UNUSED)}


def _stage_key(key: str) -> str:
    if key.startswith("embeddings."):
        return key.replace("embeddings.", "0.", 1)
    number, _, name = key.removeprefix("encoder.layer.").partition(".")
    if not (key.startswith("encoder.layer.") and number.isdigit()):
        raise ValueError(f"{key} is no tensor of a BERT")
    return f"{int(number) + 1}.{name}"


# Names of attributes are those of `BertModel`, which weights files have.


class _Embeddings(nn.Module):
    """Of tokens and positions, (n, tokens, width), from prepared images."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.word_embeddings = nn.Embedding(VOCABULARY_SIZE, width)
        self.position_embeddings = nn.Embedding(_POSITIONS, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.LayerNorm = nn.LayerNorm(width, _EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, prepared: Tensor) -> Tensor:
        ids, kept = tokens(prepared, _POSITIONS)
        positions = self.position_embeddings.weight[: ids.shape[1]]
        summed = self.word_embeddings(ids) + positions + self.token_type_embeddings.weight[0]
        return self.dropout(self.LayerNorm(summed)) * kept.unsqueeze(2)


class _Block(nn.Module):
    """Attention and two layers, each added to what came in and normalised."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.attention = nn.ModuleDict(
            {
                "self": nn.ModuleDict(
                    {name: nn.Linear(width, width) for name in ("query", "key", "value")}
                ),
                "output": _Added(width, width, dropout),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, 4 * width)})
        self.output = _Added(4 * width, width, dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        kept = _kept(hidden)
        attended = self.attention["output"](self._attend(hidden, kept), hidden)
        inner = F.gelu(self.intermediate["dense"](attended))
        return self.output(inner, attended) * kept.unsqueeze(2)

    def _attend(self, hidden: Tensor, kept: Tensor) -> Tensor:
        layers = self.attention["self"]
        heads = (*hidden.shape[:2], -1, _HEAD_WIDTH)
        query, key, value = (
            layers[name](hidden).view(heads).transpose(1, 2) for name in ("query", "key", "value")
        )
        # An image without any token attends to all: a softmax over nothing is no number.
        mask = (kept | ~kept.any(1, keepdim=True))[:, None, None]
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return found.transpose(1, 2).flatten(2)


class _LastBlock(_Block):
    """A block, and one vector a text: the average over its tokens, of length sqrt(width)."""

    def forward(self, hidden: Tensor) -> Tensor:
        outputs = super().forward(hidden).float()
        count = _kept(hidden).sum(1, keepdim=True).clamp(min=1)
        return F.normalize(outputs.sum(1) / count) * outputs.shape[2] ** 0.5


class _Added(nn.Module):
    """A linear layer whose output is added to what came in, normalised."""

    def __init__(self, before: int, width: int, dropout: float):
        super().__init__()
        self.dense = nn.Linear(before, width)
        self.LayerNorm = nn.LayerNorm(width, _EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor, added: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(inputs)) + added)


def _kept(hidden: Tensor) -> Tensor:
    """Where there is a token (n, tokens): what a layer norm gives is never all zero."""
    return hidden.ne(0).any(2)
