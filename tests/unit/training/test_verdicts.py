"""training/verdicts.py, verdict_results.py and calibrate.py: what verdicts rest on, and how well they work."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.judge import Judge, directions
from inference.verdict import Familiarity, Verdict
from tests.support.pictures import draw_pictures
from training.calibrate import by_kind, first_of_each, for_labels, make_verdicts
from training.data import Dataset, Split, read_dataset
from training.evaluation import softmax
from training.faults import DataError
from training.looks import Looks, look_at
from training.others import Others
from training.verdict_results import JudgedGroup, results_table
from training.verdicts import (
    PROTOTYPES,
    cluster_directions,
    find_prototypes,
    fit_rules,
    set_threshold,
)

SPECIES, CHANNELS = 6, 40
RNG = np.random.default_rng(0)
CENTRES = RNG.random((SPECIES, CHANNELS)) ** 4
FAMILIAR = Familiarity(species=0.5, bird=0.5)


def photos(count: int, noise: float, *, known: bool = True, seed: int = 0) -> Looks:
    """What a network might make of photos of known species, or of others."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, SPECIES, count) if known else np.full(count, -1)
    centres = CENTRES[targets] if known else rng.random((count, CHANNELS)) ** 4
    features = np.abs(centres + noise * rng.normal(size=(count, CHANNELS))).astype("float32")
    logits = (30 * directions(features) @ directions(CENTRES).T).astype("float32")
    return Looks([Path(f"{number}.jpg") for number in range(count)], targets, features, softmax(logits))


@pytest.fixture(scope="module")
def rules():
    learned = photos(300, 0.1, seed=1)
    return fit_rules(find_prototypes(learned.features, learned.targets), photos(2000, 0.1, seed=2))


def shares(rules, looks: Looks) -> dict[Verdict, float]:
    return JudgedGroup("some", looks, rules).measured().shares


def test_of_other_photos_of_the_known_species_as_many_are_refused_as_may_be(rules):
    of_known = shares(rules, photos(2000, 0.1, seed=3))
    assert of_known[Verdict.NO_BIRD] + of_known[Verdict.UNKNOWN_BIRD] == pytest.approx(0.05, abs=0.02)
    assert of_known[Verdict.NO_BIRD] < 0.012


def test_pictures_of_none_of_the_species_are_refused(rules):
    of_others = shares(rules, photos(500, 0, known=False, seed=4))
    assert of_others[Verdict.NO_BIRD] + of_others[Verdict.UNKNOWN_BIRD] > 0.95


def test_prototypes_stand_for_the_kinds_of_photos_of_a_species_and_are_the_same_each_time():
    kinds = directions(np.eye(4)[[0] * 30 + [1] * 5 + [2] * 10] + 0.01)
    found = cluster_directions(kinds, 3)
    np.testing.assert_array_equal(found, cluster_directions(kinds, 3))
    assert sorted((kinds[[0, 30, 35]] @ found.T).argmax(axis=1)) == [0, 1, 2]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)


def test_a_species_with_fewer_photos_than_prototypes_has_one_for_each():
    features = photos(4, 0.1).features
    assert len(find_prototypes(features, np.array([0, 0, 0, 1]))) == PROTOTYPES + 1


def test_ten_thousand_species_share_so_many_prototypes_that_the_file_stays_small(monkeypatch):
    monkeypatch.setattr("training.verdicts.MAX_PROTOTYPE_NUMBERS", 20 * CHANNELS)
    features = np.random.default_rng(6).random((100, CHANNELS)).astype("float32")
    assert find_prototypes(features, np.arange(100)).shape == (20, CHANNELS)
    assert find_prototypes(features, np.arange(100) // 10).shape == (20, CHANNELS)


def answers(photos: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities of ten species, and drawn ones that are right."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(0, 6, (photos, 10)))
    return probabilities, (probabilities.cumsum(axis=1) > rng.random((photos, 1))).argmax(axis=1)


def test_on_other_photos_sure_answers_are_right_in_99_of_100_and_unsure_ones_in_95(rules):
    threshold = set_threshold(*answers(3000, 0))
    probabilities, targets = answers(20_000, 1)
    right = {}
    for name, is_unsure in (("sure", False), ("unsure", True)):
        judge = Judge(replace(rules, set_threshold=threshold))
        likely = np.array([judge.verdict(FAMILIAR, each)[1] for each in probabilities])
        chosen = (likely > 1) == is_unsure
        ranks = (-probabilities[chosen]).argsort(axis=1)
        right[name] = np.mean((ranks == targets[chosen, None]).argmax(axis=1) < likely[chosen])
    assert right["sure"] > 0.985
    assert right["unsure"] > 0.94


def test_a_network_that_is_often_wrong_is_hardly_ever_sure():
    probabilities, _targets = answers(500, 2)
    assert set_threshold(probabilities, np.zeros(500, int)) > 0.99


def test_a_few_photos_without_a_mistake_are_enough_for_sure_answers():
    assert set_threshold(np.array([[0.97, 0.03], [0.02, 0.98]]), np.array([0, 1])) == 0.5


# --- the command


def colors(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A network that knows blue light from orange light."""
    features = pixels.mean(axis=(1, 2), dtype="float32") / 255
    return features, softmax(np.stack([20 * features[:, 2], 20 * features[:, 0]], axis=1))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed, (split, count) in enumerate([("train", 6), ("validation", 12), ("test", 5)]):
        draw_pictures(folder / split / "blue", count, "blue", seed)
        draw_pictures(folder / split / "orange", count, "orange", seed)
    draw_pictures(folder / "_other" / "birds" / "green", 20, "green", 3)
    draw_pictures(folder / "_other" / "grass", 20, "green", 4)
    return folder


def test_the_curve_has_known_birds_other_birds_and_other_things(data):
    verdicts, results = make_verdicts(read_dataset(data), colors)
    groups = {group.name: group for group in verdicts.curve.groups}
    assert list(groups) == ["validation", "test", "other birds", "others"] == [result.name for result in results]
    assert groups["validation"].pictures == 24
    assert groups["other birds"].pictures + groups["others"].pictures == 13  # a third of 40
    for group in groups.values():
        assert group.answered[0] == 1  # at a strictness of 0 nothing is refused
        assert list(group.answered) == sorted(group.answered, reverse=True)
    assert groups["test"].answered[10] > groups["others"].answered[10]


def test_without_other_pictures_the_curve_has_known_birds_only(data):
    dataset = read_dataset(data)
    verdicts, _results = make_verdicts(Dataset(dataset.class_indices, dataset.splits, [], Others()), colors)
    assert [group.name for group in verdicts.curve.groups] == ["validation", "test"]


def test_the_table_has_a_line_for_each_group(data):
    _verdicts, results = make_verdicts(read_dataset(data), colors)
    head, *lines = results_table(results).splitlines()
    assert head.split()[:3] == ["pictures", "sure", "unsure"]
    assert [line.split()[0] for line in lines] == ["validation", "test", "other", "others"]
    assert len({len(line) for line in (head, *lines)}) == 1


def test_a_photo_that_was_deleted_meanwhile_is_left_out_and_logged(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    draw_pictures(tmp_path / "blue", 3, "blue", 0)
    paths = [*sorted(tmp_path.glob("blue/*")), tmp_path / "gone.jpg"]
    looks = look_at(paths, np.array([0, 0, 0, 1]), colors, "some")
    assert (looks.paths, looks.targets.tolist()) == (paths[:3], [0, 0, 0])
    [line] = caplog.messages
    assert line.startswith(f"{tmp_path / 'gone.jpg'} is left out: ")


def test_no_pictures_at_all_are_no_error():
    assert len(look_at([], np.zeros(0, int), colors, "none")) == 0


def dataset(**targets: list[int]) -> Dataset:
    splits = {
        name: Split([Path(f"{name}{number}.jpg") for number in range(len(of_split))], np.array(of_split, "int32"))
        for name, of_split in targets.items()
    }
    return Dataset({"auk": 0, "emu": 1, "owl": 2}, splits, [])


def test_labels_are_numbered_as_the_network_numbers_them_and_others_left_out(caplog):
    found = for_labels(dataset(train=[0, 0, 1, 2], validation=[2, 1]), ("owl", "tit", "auk"))
    assert [path.name for path in found.splits["train"].paths] == ["train0.jpg", "train1.jpg", "train3.jpg"]
    assert found.splits["train"].targets.tolist() == [2, 2, 0]
    assert found.splits["validation"].targets.tolist() == [0]
    [line] = caplog.messages
    assert line.startswith("There are no photos of 1 label: ")


def test_accented_labels_are_found_however_they_are_written():
    composed, decomposed = "R\u00e4uber", "Ra\u0308uber"
    given = dataset(train=[0], validation=[0])
    given.class_indices.clear()
    given.class_indices[composed] = 0
    assert for_labels(given, (decomposed,)).splits["train"].targets.tolist() == [0]


def test_photos_of_other_labels_than_the_networks_are_refused():
    with pytest.raises(DataError, match="no photos of the pair's labels, such as 'wren'"):
        for_labels(dataset(train=[0, 1], validation=[2]), ("wren", "tit"))


def test_pictures_of_none_of_the_labels_are_other_birds_if_their_folder_says_so():
    birds = [Path("data/_other/birds/owl/1.jpg"), Path("data/_other/birds/2.jpg")]
    things = [Path("data/_other/3.jpg"), Path("birds/_other/cat/4.jpg"), Path("data/_other/cat/birds/5.jpg")]
    assert by_kind([things[0], *birds, *things[1:]]) == {"other birds": birds, "others": things}
    assert by_kind([]) == {}


def test_of_each_species_the_first_photos_are_taken():
    assert first_of_each(np.array([1, 0, 1, 1, 0, 0]), 2).tolist() == [1, 4, 0, 2]
