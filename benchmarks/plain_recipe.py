"""The plain recipe that everybody copies, for comparison: gunicorn benchmarks.plain_recipe:application

Save the file, ``load_img``, ``model.predict``, open the file again for the thumbnail.
"""

import base64
import io
import os
import secrets
from pathlib import Path

import keras
import numpy as np
from flask import Flask, render_template_string, request
from PIL import Image

from inference import LABELS_FILE, MODEL_FILE
from inference.labels import load_labels

MODELS = Path(__file__).parent.parent / "models"
UPLOADS = Path(os.environ["BIRD_UPLOADS"])
PAGE = """<!doctype html><title>Birds</title>
{% if label %}
<img src="data:image/jpeg;base64,{{ thumbnail }}"> Predicted : {{ label }} Confidence [0-100]% : {{ confidence }} %
{% endif %}
<form method="post" enctype="multipart/form-data"><input type="file" name="bird_image"><button>Go</button></form>"""

UPLOADS.mkdir(parents=True, exist_ok=True)
model = keras.models.load_model(MODELS / MODEL_FILE, compile=False)
labels = load_labels(MODELS / LABELS_FILE)
application = Flask(__name__)


@application.route("/", methods=["GET", "POST"])
def index() -> str:
    """The form and the answer."""
    if request.method == "GET":
        return render_template_string(PAGE)
    path = UPLOADS / f"{secrets.token_hex(8)}.jpg"
    request.files["bird_image"].save(path)
    image_array = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224))) / 255
    (scores,) = model.predict(image_array[np.newaxis], verbose=0)
    with Image.open(path) as image:
        image.thumbnail((400, 400))
        thumbnail = io.BytesIO()
        image.convert("RGB").save(thumbnail, "JPEG")
    path.unlink()
    return render_template_string(
        PAGE,
        thumbnail=base64.b64encode(thumbnail.getvalue()).decode(),
        label=labels[scores.argmax()],
        confidence=100 * scores.max(),
    )
