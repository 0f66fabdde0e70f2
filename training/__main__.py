"""Fine-tune InceptionV3 on your labelled photos."""

import argparse
import hashlib
import json
import logging
import os
import shutil
import sys
from functools import partial
from pathlib import Path

# Read when Keras and TensorFlow are imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a missing GPU is not an error
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # as the app does: take GPU memory as it is needed

from inference.packages import missing_packages

if missing := missing_packages("Training"):
    sys.exit(f"training: {missing}")

import keras

from inference import CARD_FILE, IMAGE_SIZE, LABELS_FILE, MODEL_FILE, REPORT_FILE
from inference.digest import sha256
from inference.errors import PairError
from inference.pair import check_pair
from inference.verdicts_file import write_verdicts

from . import network, recipe
from .calibrate import log_results, make_verdicts
from .checkpoint import Checkpoint, CheckpointError, State
from .command import INTERRUPTED
from .comparison import ComparisonError, compare_pairs
from .compilation import compile_saved
from .corrections import apply_decisions, find_decisions
from .data import SEED, Dataset, read_dataset
from .evaluation import fit_temperature
from .examples import choose_examples, remove_examples, write_examples
from .faults import BrokenOffError, DataError, count_of, fault_table
from .missing import without_missing
from .model_card import build_card, write_card
from .more import add_corrections
from .options import NOT_PROMOTED, parse_options
from .others import OTHER_FOLDER
from .pair import save_pair
from .promote import in_use
from .promotion import CANDIDATE_FOLDER, promote, undo_exchange
from .report import VerdictReport, write_report
from .start import is_model, read_start

CHECKPOINT_FILE = "checkpoint.h5"
FREE_SPACE = 2 * 2**30  # bytes; a checkpoint takes 430 MB, and there are two while one is replaced

log = logging.getLogger("training")


def main() -> None:
    options = parse_options(__doc__)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for library in ("absl", "tensorflow"):  # they warn about .h5, and about one network being traced for several sizes
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        sys.exit(train_pair(options))
    except (DataError, PairError, network.WeightsError, CheckpointError) as error:
        sys.exit(f"training: {error}")
    except BrokenOffError as error:
        sys.exit(f"training: broken off before the end of the first epoch: {error}.")
    except OSError as error:
        sys.exit(f"training: {error.filename or options.output}: {error.strerror or error}")
    except KeyboardInterrupt:
        log.info("Interrupted. The same command continues after the last finished epoch, if there is one.")
        sys.exit(INTERRUPTED)


def train_pair(options: argparse.Namespace) -> int:
    """Train, and write the pair, its card and its report into the output folder.

    :return: the exit status.
    """
    keras.utils.set_random_seed(SEED)
    models = options.output
    if options.more:
        options.output = candidate_folder(models)
    from_pair = is_model(options.weights)
    if options.epochs is None:
        options.epochs = recipe.FURTHER_EPOCHS if from_pair else recipe.FINE_TUNING_EPOCHS
    decisions = find_decisions(options.data, options.decisions)
    dataset = apply_decisions(read_dataset(options.data), options.data, decisions)
    if options.more:
        dataset = add_corrections(dataset, options.more)
    print_summary(dataset)
    recipe_options = {
        "weights": options.weights if options.weights in ("imagenet", "none") else Path(options.weights).name,
        "epochs": options.epochs,
        "precision": options.precision,
    }
    this_training = fingerprint(dataset, Path(options.weights), recipe_options)
    checkpoint = Checkpoint(output_folder(options.output) / CHECKPOINT_FILE, this_training)
    state = (None if options.fresh else checkpoint.read()) or State()
    if state.history:
        log.info("Continuing after epoch %d of stage %d.", state.epoch, state.stage + 1)
    try:
        learn(dataset, options, state, checkpoint, from_pair=from_pair)
    except KeyboardInterrupt:
        if state.best is None:
            raise
        log.info("Interrupted: saving the best model so far.")
        save_and_evaluate(dataset, options, recipe_options, state)
        log_best(options.output, state, "The same command continues the training; --fresh starts over.")
        return INTERRUPTED
    except BrokenOffError as error:
        if state.best is None:
            raise
        log.info("Broken off: %s. Saving the best model so far.", error)
        save_and_evaluate(without_missing(dataset), options, recipe_options, state)
        log_best(options.output, state, "The same command with --fresh starts over.")
        return 1
    save_and_evaluate(dataset, options, recipe_options, state)
    checkpoint.remove()
    compile_saved(options.output / MODEL_FILE, options.output / LABELS_FILE, dataset.splits["validation"].paths)
    return 0 if options.output == models else promote_if_better(models, dataset)


def candidate_folder(models: Path) -> Path:
    """Where to train to if corrections are learned: beside the pair that is there already, if there is one.

    :param models: the output folder.
    :raises PairError: the pair in it cannot be loaded, so nothing can be compared with it.
    """
    undo_exchange(models)
    if not (models / MODEL_FILE).exists():
        return models
    check_pair(models / MODEL_FILE, models / LABELS_FILE)
    return models / CANDIDATE_FOLDER


def promote_if_better(models: Path, dataset: Dataset) -> int:
    """Take the candidate into use if it is better, and log why or why not.

    :return: the exit status.
    """
    try:
        comparison = compare_pairs(models, models / CANDIDATE_FOLDER, dataset)
    except ComparisonError as error:
        objection = f"{error}."
    else:
        log.info("Named correctly, by the pair in use → by the new one: %s.", comparison)
        objection = comparison.objection()
    if objection:
        log.info(
            "Not promoted. %s The new pair is in %s; python -m training.promote %s takes it all the same.",
            objection, models / CANDIDATE_FOLDER, models,
        )  # fmt: skip
        return NOT_PROMOTED
    promote(models)
    log.info("Promoted. %s", in_use(models))
    return 0


def log_best(output: Path, state: State, advice: str) -> None:
    """Log which model an unfinished training has left, and what can be done."""
    assert state.best is not None
    log.info(
        "%s holds the best model so far, from epoch %d of stage %d (validation %.2f %%). %s",
        output, state.best.epoch, state.best.stage + 1, 100 * state.best.top1, advice,
    )  # fmt: skip


def print_summary(dataset: Dataset) -> None:
    """Log how many photos there are to train on, and what was wrong with the folder."""
    if dataset.faults:
        log.info(
            "What is wrong or unusual in the folder, and what is done about it:\n%s\n", fault_table(dataset.faults)
        )
    for name, split in dataset.splits.items():
        labels = len(set(split.targets.tolist()))
        log.info("%s: %s of %s", name, count_of(len(split.paths), "photo"), count_of(labels, "label"))
    if others := dataset.others:
        pictures = count_of(len(others), "picture")
        log.info("%s: %s of none of the labels, %d of them held out", OTHER_FOLDER, pictures, len(others.held_out))
    if more := dataset.more:
        log.info(
            "corrections: %s to learn from among these, and %d held out to decide whether the new pair is better",
            count_of(len(more.learned), "photo"), len(more.held_out.paths),
        )  # fmt: skip


def output_folder(folder: Path) -> Path:
    """The folder, made if it was missing.

    :raises DataError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be created: {error.strerror}.") from error
    if not os.access(folder, os.W_OK):
        raise DataError(f"{folder} cannot be written to.")
    if shutil.disk_usage(folder).free < FREE_SPACE:
        raise DataError(f"{folder} is on a disk with less than {FREE_SPACE // 2**30} GB free. Make room there.")
    return folder


def fingerprint(dataset: Dataset, weights: Path, recipe_options: dict[str, object]) -> str:
    """A hash of everything that determines a training, because a checkpoint of another training cannot be continued."""
    labels = list(dataset.class_indices)
    photos = {
        name: [
            (f"{labels[target]}/{path.name}", path.stat().st_size)
            for path, target in zip(split.paths, split.targets, strict=True)
        ]
        for name, split in dataset.splits.items()
    }
    start = sha256(weights) if weights.is_file() else None
    others = [(path.name, path.stat().st_size) for path in dataset.others.train]
    decisive = [
        dataset.class_indices,
        photos,
        others,
        start,
        keras.backend.backend(),
        recipe.described(),
        recipe_options,
    ]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def learn(
    dataset: Dataset, options: argparse.Namespace, state: State, checkpoint: Checkpoint, *, from_pair: bool
) -> None:
    """Train through the stages of the recipe; the best weights end up in ``state``."""
    keras.config.set_dtype_policy(options.precision)
    start = read_start(Path(options.weights)) if from_pair else None
    base = start.base if start else network.inception(None if options.weights == "none" else options.weights)
    whole = network.whole_network(
        base,
        network.classification_head(len(dataset.class_indices)),
        size=None,
        train_batch_normalization=options.weights == "none",
    )
    if start:
        start.fill_head(whole, dataset.class_indices)
        recipe.undo_calibration(whole, start.known(dataset.splits["validation"], dataset.class_indices))
        plan = recipe.further_stages(options.epochs, new_labels=not start.knows_all(dataset.class_indices))
    else:
        plan = recipe.stages(options.weights, options.epochs)
    recipe.train(whole, base, plan, dataset.splits, state, checkpoint, dataset.others.train)


def save_and_evaluate(
    dataset: Dataset, options: argparse.Namespace, recipe_options: dict[str, object], state: State
) -> None:
    """Calibrate the best network, save the pair, evaluate the saved file, and write card, report and examples."""
    keras.config.set_dtype_policy("float32")  # as the app computes
    classes = len(dataset.class_indices)
    best = network.whole_network(network.inception(None), network.classification_head(classes), IMAGE_SIZE)
    best.set_weights(state.best_weights)
    uncalibrated = recipe.probabilities(best, dataset.splits["validation"])
    temperature = fit_temperature(uncalibrated, dataset.splits["validation"].targets)
    network.divide_logits(best, temperature)
    model = options.output / MODEL_FILE
    save_pair(best, dataset.class_indices, model, options.output / LABELS_FILE)

    saved = keras.models.load_model(model, compile=False)
    answers = {name: recipe.probabilities(saved, split) for name, split in dataset.splits.items() if name != "train"}
    verdicts, results = make_verdicts(dataset, network.with_pooled_features(saved))
    card = build_card(model, dataset, state, recipe_options, temperature, answers, uncalibrated)
    write_card(options.output / CARD_FILE, card)
    write_verdicts(options.output, card.model.sha256, verdicts)
    report = options.output / REPORT_FILE
    write_report(
        report,
        card,
        dataset,
        answers[card.evaluation_split],
        VerdictReport(verdicts.curve, results),
        with_photos=not options.no_photographs,
    )
    remove_examples(options.output)
    if options.examples:
        photos = choose_examples(dataset, answers, partial(recipe.probabilities, saved), card.unsure_below)
        write_examples(options.output, card.model.sha256, photos)
        log.info("Examples: %s", count_of(sum(map(len, photos)), "photo"))
    for name, accuracy in card.accuracy.items():
        log.info("%s: top-1 %.2f %%, top-5 %.2f %%", name, 100 * accuracy.top1, 100 * accuracy.top5)
    for name, corrected in (card.accuracy_corrected or {}).items():
        log.info("%s as corrected: top-1 %.2f %%, top-5 %.2f %%", name, 100 * corrected.top1, 100 * corrected.top5)
    log_results(results)
    log.info("Details are in %s.", report)


if __name__ == "__main__":
    main()
