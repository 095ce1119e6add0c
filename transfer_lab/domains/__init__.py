"""Domains: datasets with fixed test sets and seeded, nested training subsets."""

from transfer_lab.registry import Entry, Registry

DOMAINS = Registry(
    "domain",
    __name__,
    {
        "latin": Entry("scripts:Latin"),
        "greek": Entry("scripts:Greek"),
        "cyrillic": Entry("scripts:Cyrillic"),
        "textures": Entry("textures:Textures"),
        "digits": Entry("digits:Digits"),
    },
)
