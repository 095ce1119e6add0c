"""Domains: datasets with fixed test sets and seeded, nested training subsets."""

from dataclasses import dataclass

from transfer_lab.experiment.registry import Entry, Registry


@dataclass(frozen=True)
class DomainEntry(Entry):
    """A domain's class, and whether it is what a folder (its `root`) holds on this machine."""

    in_folder: bool = False


DOMAINS = Registry(
    "domain",
    "transfer_lab.data",
    {
        "latin": DomainEntry("letters:Latin"),
        "greek": DomainEntry("letters:Greek"),
        "cyrillic": DomainEntry("letters:Cyrillic"),
        "textures": DomainEntry("textures:Textures"),
        "scenes": DomainEntry("scenes:Scenes"),
        "other_scenes": DomainEntry("scenes:OtherScenes"),
        "digits": DomainEntry("digits:Digits"),
        "folder": DomainEntry("folder:Folder", in_folder=True),
        "torchvision": DomainEntry("torchvision:TorchvisionDataset", family=True),
    },
)
