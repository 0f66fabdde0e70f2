"""Photos with wrong labels, the page on which somebody decides about them, and what training makes of it."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from inference import CARD_FILE, MODEL_FILE, REPORT_FILE
from inference.model_card import load_model_card
from inference.perceptual_hash import difference_hash
from inference.photo import open_photo
from tests.support.browsing import keep_screenshot, serious_faults
from tests.support.pictures import draw_pictures
from tests.support.servers import ROOT
from training.__main__ import fingerprint
from training.calibrate import make_verdicts
from training.checkpoint import BestEpoch, State
from training.corrections import apply_decisions
from training.data import Dataset, read_dataset
from training.doubtful_labels import REVIEW_FILE
from training.features import LAYERS, feature_extractor, pooled_features
from training.label_decisions import DECISIONS_FILE, read_decisions
from training.model_card import build_card, write_card
from training.network import WeightsError, classification_head, whole_network
from training.report import VerdictReport, write_report

BLUE, AMBER = "Blue <i>&Light", "Amber, “Light”"
#: Blue photos in the folder of the others, and the other way round.
SWAPPED = {f"{AMBER}/90.jpg", f"{AMBER}/91.jpg", f"{BLUE}/90.jpg"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two labels, three photos under the wrong one."""
    folder = tmp_path_factory.mktemp("review") / "photos"
    draw_pictures(folder / BLUE, 30, "blue")
    draw_pictures(folder / AMBER, 30, "orange")
    for number, (color, label) in enumerate([("blue", AMBER), ("orange", BLUE)]):
        draw_pictures(folder / "new", 2 - number, color, seed=1)
        for each in (folder / "new").iterdir():
            each.rename(folder / label / f"9{each.name}")
        (folder / "new").rmdir()
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Path:
    """A pair's .h5, with a network that has learned nothing yet: it sees colors all the same."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            keras.layers.Conv2D(8, 8, strides=8, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    path = tmp_path_factory.mktemp("models") / "model.h5"
    model.save(path)
    return path


def review(*options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.doubtful_labels", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def output(data, network) -> Path:
    """What the command writes."""
    folder = data.parent / "review"
    run = review(data, "--weights", network, "--output", folder)
    assert run.returncode == 0, run.stderr
    assert f"Labels in doubt: 3 of 63 photos. No more than are on the page; all are listed in {folder}" in run.stderr
    return folder


@pytest.fixture
def page(output, browser: Browser, request) -> Page:
    """The page, opened as a file; it must complain of nothing and load nothing."""
    page = browser.new_context(viewport={"width": 900, "height": 900}).new_page()
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: requests.append(sent.url))
    page.goto((output / REVIEW_FILE).as_uri())
    yield page
    keep_screenshot(page, request.node.name)
    page.context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def labels_in(dataset: Dataset) -> dict[str, str]:
    names = list(dataset.class_indices)
    return {
        "/".join(path.parts[-2:]): names[target]
        for split in dataset.splits.values()
        for path, target in zip(split.paths, split.targets, strict=True)
    }


def test_the_list_holds_the_photos_under_the_wrong_label_undecided(output):
    listed = read_decisions(output / DECISIONS_FILE, [BLUE, AMBER])
    assert set(listed) == SWAPPED
    assert {each.choice for each in listed.values()} == {None}
    assert all(each.label != path.partition("/")[0] for path, each in listed.items())


def test_decisions_made_on_the_page_are_saved_and_training_heeds_them(page, data, tmp_path):
    suspects = page.locator("[data-path]")
    assert {suspect.get_attribute("data-path") for suspect in suspects.all()} == SWAPPED
    expect(page.get_by_role("heading", level=2).first).to_contain_text("looks like")
    first, second, third = (suspects.nth(number).get_attribute("data-path") for number in range(3))
    suspects.nth(0).get_by_role("radio", name="It is", exact=True).check()
    suspects.nth(1).get_by_role("radio", name="Leave out").check()
    suspects.nth(2).get_by_role("radio", name="Keep").check()
    expect(page.get_by_role("status")).to_have_text("3 of 3 decided")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the decisions").click()
    assert download.value.suggested_filename == DECISIONS_FILE
    file = tmp_path / DECISIONS_FILE
    download.value.save_as(file)
    before = labels_in(read_dataset(data))
    after = labels_in(apply_decisions(read_dataset(data), data, file))
    other = {BLUE: AMBER, AMBER: BLUE}
    splits = {name: {path.name for path in split.paths} for name, split in read_dataset(data).splits.items()}
    assert before[first] != other[before[first]]
    if Path(first).name in splits["train"]:
        assert after[first] == other[before[first]]
    assert {path: label for path, label in after.items() if path not in (first, second)} == {
        path: label for path, label in before.items() if path not in (first, second)
    }
    decided = read_decisions(file, before.values())
    assert {path: str(each.choice) for path, each in decided.items()} == {
        first: "relabel",
        second: "leave out",
        third: "keep",
    }


def test_a_label_that_does_not_exist_is_not_saved(page):
    page.get_by_label("The right label of photo 1").fill("Green Light")
    expect(page.locator("[data-path]").first.get_by_role("radio", name="It is", exact=True)).to_be_checked()
    page.get_by_role("button", name="Save the decisions").click()
    assert page.evaluate("document.querySelector('input[type=text]:invalid').validationMessage").startswith(
        "There is no such label"
    )
    page.get_by_label("The right label of photo 1").fill(BLUE)
    with page.expect_download():
        page.get_by_role("button", name="Save the decisions").click()


def test_everybody_can_use_the_page(page):
    assert serious_faults(page) == []
    photos = page.locator("img")
    assert photos.count() == 3 * 7
    assert all(
        photo.get_attribute("alt") and photo.evaluate("each => each.decode().then(() => true)")
        for photo in photos.all()
    )


def test_what_was_decided_is_not_asked_again_and_is_kept_in_the_file(data, network, output, tmp_path):
    file = tmp_path / DECISIONS_FILE
    decided = sorted(SWAPPED)[0]
    file.write_text(f'path,decision,label\n"{decided}",keep,\n', encoding="utf-8")
    run = review(data, "--weights", network, "--decisions", file, "--most", 1, "--output", tmp_path / "second")
    assert "Labels in doubt: 2 of 63 photos. 1 more than are on the page" in run.stderr
    written = (tmp_path / "second" / REVIEW_FILE).read_text()
    assert written.count("data-path=") == 1
    assert "1 more are not on this page" in written
    listed = read_decisions(tmp_path / "second" / DECISIONS_FILE, [BLUE, AMBER])
    assert [str(listed[path].choice) for path in sorted(SWAPPED)] == ["keep", "None", "None"]


def test_decisions_in_the_list_are_not_overwritten(data, network, tmp_path):
    (tmp_path / DECISIONS_FILE).write_text(f'path,decision,label\n"{sorted(SWAPPED)[0]}",keep,\n', encoding="utf-8")
    run = review(data, "--weights", network, "--output", tmp_path)
    assert run.returncode == 1
    assert "holds decisions, which would be lost. Give the file with --decisions" in run.stderr
    assert not (tmp_path / REVIEW_FILE).exists()


def test_the_features_of_a_weights_file_are_those_of_its_layers(data, tmp_path):
    keras.utils.set_random_seed(0)
    base = keras.applications.InceptionV3(weights=None, include_top=False)
    base.save_weights(tmp_path / "inception.weights.h5")
    paths = sorted(data.glob("*/*.jpg"))[:2]
    features, hashes = pooled_features(feature_extractor(str(tmp_path / "inception.weights.h5")), paths)
    photos = [open_photo(path) for path in paths]
    maps = keras.Model(base.input, [base.get_layer(name).output for name in LAYERS])
    images = np.stack([photo.pixels() for photo in photos]) / np.float32(127.5) - 1
    expected = [np.asarray(each).mean(axis=(1, 2)) for each in maps(images, training=False)]
    np.testing.assert_allclose(features, np.hstack(expected), rtol=1e-3, atol=1e-4)
    assert hashes == [difference_hash(photo.image) for photo in photos]


def test_weights_that_are_none_are_refused_in_one_sentence(data, tmp_path):
    (tmp_path / "broken.h5").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        feature_extractor(str(tmp_path / "broken.h5"))


def test_the_network_of_a_pair_gives_its_pooled_features_and_code_in_it_is_not_run(tmp_path):
    network = whole_network(
        keras.Sequential([keras.Input((224, 224, 3)), keras.layers.Conv2D(4, 9, strides=9)]),
        classification_head(3),
        224,
    )
    network.save(tmp_path / "pair.h5")
    image = np.random.default_rng(0).random((1, 224, 224, 3), dtype="float32")
    features = feature_extractor(str(tmp_path / "pair.h5")).predict_on_batch(image)
    expected = keras.Model(network.input, network.get_layer("pool").output).predict_on_batch(image)
    np.testing.assert_allclose(features, expected, atol=1e-6)
    lambdas = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            keras.layers.Lambda(lambda x: x),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    lambdas.save(tmp_path / "lambda.h5")
    with pytest.raises(WeightsError, match="The network cannot be loaded: "):
        feature_extractor(str(tmp_path / "lambda.h5"))


def test_a_checkpoint_belongs_to_a_training_with_the_same_decisions(data, tmp_path):
    file = tmp_path / DECISIONS_FILE
    dataset = read_dataset(data)
    learned = dataset.splits["train"].paths[0].relative_to(data)
    fingerprints = {fingerprint(dataset, Path("none"), {})}
    for decision in (f"relabel,{BLUE}", "leave out,", "keep,"):
        file.write_text(f'path,decision,label\n"{learned}",{decision}\n', encoding="utf-8")
        fingerprints.add(fingerprint(apply_decisions(dataset, data, file), Path("none"), {}))
    assert len(fingerprints) == 3  # to keep a label changes nothing


def test_card_and_report_say_how_good_the_network_is_on_test_as_it_is_and_as_corrected(tmp_path):
    draw_pictures(tmp_path / BLUE, 30, "blue")
    draw_pictures(tmp_path / AMBER, 30, "orange")
    dataset = read_dataset(tmp_path)
    paths = dataset.splits["test"].paths  # three of amber, then three of blue
    rows = [f'"{paths[0].relative_to(tmp_path)}",relabel,{BLUE}', f'"{paths[1].relative_to(tmp_path)}",leave out,']
    file = tmp_path / DECISIONS_FILE
    file.write_text("\n".join(["path,decision,label", *rows]), encoding="utf-8")
    dataset = apply_decisions(dataset, tmp_path, file)
    answers = {
        "validation": np.eye(2, dtype="float32")[dataset.splits["validation"].targets],
        "test": np.eye(2, dtype="float32")[[1, 1, 0, 1, 1, 1]],
    }
    epoch = {"stage": 0, "epoch": 1, "loss": 0.5, "top1": 0.5, "val_loss": 0.5, "val_top1": 0.5}
    (tmp_path / MODEL_FILE).write_bytes(b"a model")
    state = State(0, 1, [epoch], BestEpoch(0, 1, 0.5, 0.5))
    card = build_card(tmp_path / MODEL_FILE, dataset, state, {}, 1.0, answers, answers["validation"])
    write_card(tmp_path / CARD_FILE, card)
    written = json.loads((tmp_path / CARD_FILE).read_text())
    assert written["accuracy"]["test"]["top1"] == 4 / 6
    assert written["accuracy_corrected"] == {
        "test": {"top1": 1, "top5": 1, "pictures": 5, "relabelled": 1, "left_out": 1}
    }
    verdicts, results = make_verdicts(dataset, lambda pixels: (pixels.mean(axis=(1, 2)), pixels[:, 0, 0, :2] / 255))
    report = VerdictReport(verdicts.curve, results)
    write_report(tmp_path / REPORT_FILE, card, dataset, answers["test"], report, with_photos=False)
    page = " ".join((tmp_path / REPORT_FILE).read_text().split())
    assert "on the labels of test as they are. With 1 of them corrected and 1 photo left out" in page
    assert "top-1 is 100.00 % and top-5 100.00 % of 5 photos" in page
    assert load_model_card(tmp_path / MODEL_FILE, None).metrics.top1 == 4 / 6
