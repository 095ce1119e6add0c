"""Weights that others publish: where they lie on this machine, and how to fetch them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import torch

from transfer_lab.experiment.published import hub_folder, named_sha256


@dataclass(frozen=True)
class HubFile:
    """A file of torch.hub's cache, as torchvision publishes its weights."""

    url: str

    @property
    def place(self) -> Path:
        """Where it lies, or has to be put."""
        return hub_folder() / "checkpoints" / Path(urlparse(self.url).path).name

    @property
    def sha256_prefix(self) -> str:
        """The beginning of its SHA-256, which torchvision writes into the name."""
        return named_sha256(self.place)

    def find(self) -> Path | None:
        """The file, if it is there."""
        return self.place if self.place.is_file() else None

    def fetch(self) -> Path:
        """Download it, checking its hash; raises OSError or RuntimeError where that fails."""
        self.place.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            self.url, str(self.place), self.sha256_prefix or None, progress=True
        )
        return self.place


@dataclass(frozen=True)
class HuggingFaceFile:
    """A file of the Hugging Face cache, as timm publishes its weights."""

    repository: str
    name: str = "model.safetensors"

    @property
    def url(self) -> str:
        """Where it is downloaded from."""
        return f"https://huggingface.co/{self.repository}/resolve/main/{self.name}"

    @property
    def sha256_prefix(self) -> str:
        """Its SHA-256 where the cache knows it, else nothing."""
        path = self.find()
        return named_sha256(path) if path else ""

    @property
    def place(self) -> Path:
        """The folder of the cache that it belongs to."""
        from huggingface_hub.constants import HF_HUB_CACHE

        return Path(HF_HUB_CACHE) / f"models--{self.repository.replace('/', '--')}"

    def find(self) -> Path | None:
        """The file, if it is there."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.repository, self.name)
        return Path(found) if isinstance(found, str) else None

    def fetch(self) -> Path:
        """Download it; raises OSError where that fails."""
        from huggingface_hub import hf_hub_download

        # What the file holds is part of a run's id, whichever revision it is of.
        return Path(hf_hub_download(self.repository, self.name))  # nosec B615


Published = HubFile | HuggingFaceFile
