"""Backbones: feature extractors made of ordered stages."""

from transfer_lab.registry import Entry, Registry

BACKBONES = Registry(
    "backbone",
    __name__,
    {
        "mlp": Entry("mlp:MLP"),
        "cnn": Entry("cnn:CNN"),
        "vgg16": Entry("vgg16:VGG16"),
        "mlp_published": Entry("published_study:PublishedMLP"),
        "cnn_published": Entry("published_study:PublishedCNN"),
        "torchvision": Entry("torchvision:Torchvision", family=True),
        "timm": Entry("timm:Timm", family=True, extra="timm"),
    },
)
