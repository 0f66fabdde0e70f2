"""The site as an app on somebody's device: its manifest, its service worker, and the page without a connection."""

import hashlib
from pathlib import Path

from flask import Blueprint, current_app, jsonify, make_response, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from inference.formats import DECODERS

from .languages import interface_tag

#: What devices call photos that the site takes; they call HEIF files of phones by another name than Pillow does.
SHARED_TYPES = [*(f"image/{decoder.lower()}" for decoder in DECODERS), "image/heic"]
#: Each icon that ``docs/icons.py`` draws for the manifest: its file, its side in pixels, and what it is for.
ICONS = [("192.png", 192, "any"), ("512.png", 512, "any"), ("maskable-512.png", 512, "maskable")]
GROUND = "#ffffff"  # around the icon while the app opens; the header's, as in layout.html
OFFLINE_FILES = ("simple.min.css", "style.css", "icon.svg")  # in static/: what the offline page needs

installing = Blueprint("installing", __name__)


@installing.get("/manifest.webmanifest")
def manifest() -> Response:
    """What a device needs to know to install the site, and to share photos with it.

    Its members are those of the W3C's Web Application Manifest and Web Share Target.
    """
    home = url_for("index")
    response = jsonify(
        id=home,
        name=gettext("Which bird is it?"),
        short_name=gettext("Which bird?"),
        description=gettext("Names the bird in a photo."),
        lang=interface_tag(),
        start_url=home,
        scope=home,
        display="standalone",
        background_color=GROUND,
        theme_color=GROUND,
        icons=[
            {
                "src": url_for("static", filename=f"icons/{name}"),
                "sizes": f"{side}x{side}",
                "type": "image/png",
                "purpose": purpose,
            }
            for name, side, purpose in ICONS
        ],
        share_target={
            "action": home,
            "method": "POST",
            "enctype": "multipart/form-data",
            "params": {"files": [{"name": "bird_image", "accept": SHARED_TYPES}]},
        },
    )
    response.mimetype = "application/manifest+json"
    return response


@installing.get("/service-worker.js")
def service_worker() -> Response:
    """The script that shows the offline page.

    The name of its cache changes with what is in it, and the script with that name: so browsers notice a new release.
    """
    home, page = url_for("index"), url_for("installing.offline")
    files = [url_for("static", filename=name) for name in OFFLINE_FILES]
    script = render_template(
        "service-worker.js", caches=f"offline-{home}-", version=_version(), home=home, page=page, files=files
    )
    response = make_response(script)
    response.mimetype = "text/javascript"
    response.cache_control.no_cache = True
    response.add_etag()
    return response.make_conditional(request)


@installing.get("/offline")
def offline() -> str:
    """The page that a device keeps, and shows where the site cannot be reached. It contains nothing personal."""
    return render_template("offline.html")


def _version() -> str:
    """A digest of the offline page and its files."""
    digest = hashlib.sha256(offline().encode())
    for name in OFFLINE_FILES:
        digest.update(Path(str(current_app.static_folder), name).read_bytes())
    return digest.hexdigest()[:16]
