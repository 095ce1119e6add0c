"""Backbones: feature extractors made of ordered stages."""

from transfer_lab.experiment.registry import Entry, Registry

BACKBONES = Registry(
    "backbone",
    "transfer_lab.backbones",
    {
        "mlp": Entry("mlp:MLP"),
        "cnn": Entry("cnn:CNN"),
        "vgg16": Entry("vgg16:VGG16"),
        "mlp_published": Entry("keras_study:PublishedMLP"),
        "cnn_published": Entry("keras_study:PublishedCNN"),
        "torchvision": Entry("torchvision:Torchvision", family=True),
        "timm": Entry("timm:Timm", family=True, extra="timm"),
    },
)
