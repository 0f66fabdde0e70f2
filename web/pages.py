"""All pages but the first, and the result cards that the page's script asks for."""

import json
from typing import Any

from flask import Blueprint, Flask, abort, g, make_response, render_template, request, url_for
from werkzeug.wrappers import Response

from inference import regions
from inference.formats import EXTENSIONS, FORMATS, MAX_PIXELS_OF
from lists import csv_export, darwin_core

from .cards import ResultCard
from .identify import card_of_job, identify_photo
from .naming import requested_naming
from .rate_limit import count_photo
from .security import REPORT_HEADERS
from .services import current_services, has_services
from .telemetry import stage
from .uploads import MAX_PHOTOS, received_photo, requested_region

EXAMPLE_MAX_AGE = 24 * 60 * 60  # seconds that a cache may keep an example
MAX_REFRESH = 10  # seconds; without a script, the page of a pending job is loaded again after no more than this

pages = Blueprint("pages", __name__)
cards = Blueprint("cards", __name__, url_prefix="/cards")


@pages.get("/identifications/<job>")
def identification(job: str) -> Response:
    """The page of a pending job: the answer, or its position in the queue."""
    card = card_of_job(job)
    refresh = card.position and min(card.position.seconds, MAX_REFRESH)
    return private_page("index.html", card.status, cards=[card], refresh=refresh)


@cards.post("")
@count_photo
def identify() -> Response:
    """The result card of one photo."""
    return private_card(identify_photo(received_photo(), requested_region()))


@cards.get("/<job>")
def pending(job: str) -> Response:
    """The result card of a pending job."""
    return private_card(card_of_job(job))


@pages.get("/species")
def species() -> str:
    """The species that the model knows; with ``?q=`` those that have a name with these words in any language."""
    model_info, naming = current_services().model_info, requested_naming()
    labels = model_info.search.find(request.args.get("q", ""))

    known = [each for each in model_info.species() if each.label in labels]
    found = sorted(known, key=lambda each: naming.sort_key(naming.name(each.label)))
    return render_template("species.html", found=found, look_alikes_of=model_info.confusion.look_alikes)


@pages.get("/species/<int:index>/examples/<int:number>.jpg")
def example(index: int, number: int) -> Response:
    """A small photo of a species, from those that training copied for the site to show."""
    examples = current_services().model_info.examples
    photo = examples and examples.read(index, number)
    if photo is None:
        abort(404)
    response = make_response(photo)
    response.mimetype = "image/jpeg"
    response.cache_control.public = True
    response.cache_control.max_age = EXAMPLE_MAX_AGE
    response.add_etag()
    return response.make_conditional(request)


@pages.get("/about")
def about() -> str:
    """How the site works, what happens to a photo, and how good the model is."""
    services = current_services()
    return render_template(
        "about.html",
        engine=services.classifier.engine_info(),
        metrics=services.model_info.metrics,
        operators_threshold=services.model_info.operators_threshold,
        strictness=services.model_info.strictness,
        curve_groups=services.model_info.curve_groups,
        curve_rows=services.model_info.curve_rows,
        is_rate_limited=bool(services.settings.rate_limit),
    )


@pages.get("/report")
def report() -> Response:
    """The report that training wrote about the model."""
    page = current_services().model_info.report
    if page is None:
        abort(404)
    g.headers = REPORT_HEADERS
    return make_response(page)


def private_page(template: str, status: int = 200, **context: Any) -> Response:
    """A page with somebody's photo on it, which no cache may keep."""
    with stage("template"):
        page = make_response(render_template(template, **context), status)
    page.cache_control.no_store = True
    return page


def private_card(card: ResultCard) -> Response:
    """One result card, for the page's script."""
    return private_page("card.html", card.status, card=card)


def init_app(app: Flask) -> None:
    """Register the blueprints, and what every template may use."""
    app.register_blueprint(pages)
    app.register_blueprint(cards)
    app.context_processor(_context)
    app.add_template_filter(lambda answer: current_services().model_info.look_alikes(answer), "look_alikes")
    app.add_template_filter(_example_urls, "example_urls")
    app.add_template_filter(lambda answer: current_services().model_info.verdict_on(answer), "verdict")


def _example_urls(label: str) -> list[str]:
    """The addresses of the examples of a species; another model has others."""
    model_info = current_services().model_info
    return [
        url_for("pages.example", index=index, number=number, model=model_info.sha256[:8])
        for index, number in model_info.examples_of(label)
    ]


def _context() -> dict[str, Any]:
    """The variables of every template; none while the model is being loaded."""
    if not has_services():
        return {}
    services = current_services()
    settings, model_info = services.settings, services.model_info
    limits = {
        "bytes": settings.max_content_length,
        "photos": MAX_PHOTOS,
        "pixels": settings.max_pixels,
        "region": regions.SMALLEST,
        "pixels_of": json.dumps({f"image/{decoder.lower()}": limit for decoder, limit in MAX_PIXELS_OF.items()}),
    }
    return {
        "formats": list(FORMATS),
        "extensions": list(EXTENSIONS),
        "limits": limits,
        "species_known": len(services.classifier.labels),
        "model": model_info.sha256,
        "unsure_below": model_info.unsure_below,
        "gives_verdicts": model_info.curve is not None,
        "has_workers": services.classifier.is_remote,
        "has_report": model_info.report is not None,
        "csv_header": csv_export.as_line(csv_export.header()),
        "darwin_core_terms": darwin_core.TERMS,
    }
