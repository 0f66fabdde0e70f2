"""How long an answer takes, against the plain recipe that everybody copies: python -m benchmarks.plain_recipe

Both answer the same upload of a drawn 224×224 JPEG through Flask's test client, in turn, in one process.
"""

import base64
import io
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from flask import Flask, render_template_string, request
from PIL import Image

from application import application, classifier
from tests.drawings import draw_goldfinch, encoded

WARM_UP_ROUNDS = 5
ROUNDS = 60

PAGE = """<img src="data:image/jpeg;base64,{{ thumbnail }}"> Predicted : {{ label }} Confidence : {{ confidence }}"""


def plain_recipe(model_file: str, labels: tuple[str, ...], folder: Path) -> Flask:
    """Save the file, ``load_img``, ``model.predict``, open the file again for the thumbnail."""
    model = keras.models.load_model(model_file, compile=False)
    plain = Flask("plain")

    @plain.post("/")
    def index() -> str:
        path = folder / request.files["bird_image"].filename
        request.files["bird_image"].save(path)
        picture = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224))) / 255
        (scores,) = model.predict(picture[np.newaxis], verbose=0)
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

    return plain


def main() -> None:
    jpeg = encoded(draw_goldfinch(224, 224), "JPEG")
    application.logger.disabled = True
    with tempfile.TemporaryDirectory() as folder:
        application.config["UPLOADS"] = folder
        plain = plain_recipe(application.config["MODEL"], classifier().labels, Path(folder))
        clients = {"plain recipe": plain.test_client(), "this app": application.test_client()}
        times: dict[str, list[float]] = {name: [] for name in clients}

        def post(name: str) -> None:
            answer = clients[name].post("/", data={"bird_image": (io.BytesIO(jpeg), "bird.jpg")})
            assert answer.status_code == 200
            assert "Predicted : " in answer.text

        for number in range(WARM_UP_ROUNDS + ROUNDS):
            for name in clients:
                begun = time.perf_counter()
                post(name)
                if number >= WARM_UP_ROUNDS:
                    times[name].append(1000 * (time.perf_counter() - begun))

    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    print(f"Answer to a 224×224 JPEG, {ROUNDS} rounds in turn, milliseconds; {machine}")
    plain_median = statistics.median(times["plain recipe"])
    for name, values in times.items():
        median = statistics.median(values)
        print(
            f"{name:>14}: median {median:6.1f}, min {min(values):6.1f}, max {max(values):6.1f}, "
            f"{median / plain_median:.2f} of the plain recipe"
        )


if __name__ == "__main__":
    main()
