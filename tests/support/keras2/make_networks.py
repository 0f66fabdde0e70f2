"""Make networks/ with Keras 2.15: python -m pip install tensorflow-cpu==2.15.1 && python make_networks.py

Each is a tiny network with a kind of layer, or a way to put a network together, that Keras 3 describes differently.
``answers.npz`` holds what Keras 2.15 says of ``image``.
"""

import json
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf
from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
from tensorflow import keras
from tensorflow.keras import layers

FOLDER = Path(__file__).parent / "networks"
SIZE = (32, 32, 3)


def scores(features: tf.Tensor) -> tf.Tensor:
    """The head of a network: three classes."""
    if len(features.shape) == 4:
        features = layers.GlobalAveragePooling2D()(features)
    return layers.Dense(3, activation="softmax")(features)


def convolutions() -> keras.Model:
    """Layers with settings that Keras 3 does not have or names otherwise."""
    image = keras.Input(SIZE)
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(2).random((8, *SIZE), dtype="float32"))
    features = layers.Normalization(axis=None, mean=0.4, variance=0.3)(normalization(image))
    features = layers.LayerNormalization([1, 2, 3], center=False, scale=False)(layers.ZeroPadding2D(1)(features))
    features = layers.SeparableConv2D(
        4, 3, strides=2, kernel_regularizer="l2", depthwise_constraint="max_norm", depth_multiplier=2
    )(features)
    features = layers.SpatialDropout2D(0.2)(layers.LeakyReLU(0.2)(features))
    features = layers.Conv2DTranspose(4, 3, strides=2)(features)
    features = layers.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.3))(features)
    features = layers.DepthwiseConv2D(3, depth_multiplier=2)(features)
    features = layers.ELU(0.5)(layers.ThresholdedReLU(0.1)(layers.GroupNormalization(2)(features)))
    features = layers.Conv2D(4, 3, groups=2, dilation_rate=2, activation="swish")(features)
    features = layers.LayerNormalization(axis=-1)(layers.UpSampling2D(2, interpolation="bilinear")(features))
    features = layers.ReLU(6.0, negative_slope=0.1, threshold=0.2)(layers.Resizing(9, 9)(features))
    features = layers.Activation(tf.nn.relu6)(layers.GaussianNoise(0.1)(features))
    features = layers.TimeDistributed(layers.Dense(4, kernel_regularizer="l2"))(features)
    features = layers.Dropout(0.2, noise_shape=(None, 1, 1, 1))(features)
    squeezed = layers.GlobalMaxPooling2D(keepdims=True)(features)
    features = layers.Multiply()([features, layers.Conv2D(4, 1, activation="hard_sigmoid")(squeezed)])
    return keras.Model(image, scores(features))


def slashes() -> keras.Model:
    """Names with a slash, one of which is taken without it, and the layers that keras.applications defines."""
    image = keras.Input(SIZE, name="a/image")
    first = layers.Conv2D(4, 3, name="block/conv")(image)
    second = layers.Conv2D(4, 3, name="block_conv")(image)
    both = CustomScaleLayer(0.3, name="block/mixed")([first, second])
    scaled = LayerScale(0.1, 4, name="block/scale")(layers.BatchNormalization(name="block/bn")(both))
    scaled = StochasticDepth(0.2, name="block/depth")(scaled)
    return keras.Model(image, scores(layers.Add(name="block/add")([scaled, second])), name="a/network")


def inner() -> keras.Model:
    """Stands for a network of keras.applications."""
    image = keras.Input(SIZE)
    return keras.Model(image, layers.Conv2D(4, 5, strides=3, activation="relu")(image))


def sequential() -> keras.Model:
    """Models inside models inside a model, as TensorFlow's tutorials put them together."""
    augmentation = keras.Sequential(
        [
            layers.RandomFlip("horizontal", input_shape=SIZE),
            keras.Sequential(
                [
                    layers.RandomRotation(0.1),
                    layers.RandomZoom(0.2),
                    layers.RandomContrast(0.1),
                    layers.RandomHeight(0.1),
                ]
            ),
        ]
    )
    features = keras.Sequential([inner(), layers.GlobalAveragePooling2D(), layers.Dense(3)])
    return keras.Sequential([augmentation, layers.Rescaling(2.0, -1), features, layers.Softmax()])


def shared() -> keras.Model:
    """A model that is called twice, in arithmetic of its outputs."""
    image = keras.Input(SIZE)
    model = inner()
    features = model(image) - 0.5 * model(layers.RandomFlip()(1 - image), training=False)
    return keras.Model(image, scores(features))


def attention() -> keras.Model:
    """A layer with tensors among its named arguments."""
    image = keras.Input(SIZE)
    patches = layers.Reshape((16, 4))(layers.Conv2D(4, 8, strides=8)(image))
    attended = layers.MultiHeadAttention(2, 4)(layers.LayerNormalization()(patches), value=patches)
    return keras.Model(image, scores(layers.GlobalAveragePooling1D()(layers.Add()([attended, patches]))))


def preprocess(mode: str) -> keras.Model:
    """The ``preprocess_input`` of a network inside."""
    image = keras.Input(SIZE)
    prepared = keras.applications.imagenet_utils.preprocess_input(image * 255.0, mode=mode)
    return keras.Model(
        image, scores(layers.Conv2D(4, 5, kernel_initializer=keras.initializers.Constant(1e-4))(prepared))
    )


def operations() -> keras.Model:
    """TensorFlow's functions among the layers."""
    image = keras.Input(SIZE)
    features = layers.Conv2D(4, 3, strides=2)(tf.cast(tf.reverse(image, [-1]), "float32") / [0.5, 0.4, 0.3])
    features = features * tf.nn.relu6(features + 3.0) * (1 / 6)  # hard swish
    features = tf.concat([tf.nn.leaky_relu(features), tf.nn.silu(-features)], axis=-1)
    features = tf.image.resize(tf.nn.relu(1 - features), (8, 8))
    features *= tf.sigmoid(tf.reduce_mean(layers.Conv2D(8, 1)(features), [1, 2], keepdims=True))
    return keras.Model(image, scores(tf.reduce_mean(features, [1, 2])))


def functions() -> keras.Model:
    """More of TensorFlow's functions, as image preparation and an attention to places (CBAM) call them."""
    image = keras.Input(SIZE)
    prepared = tf.image.per_image_standardization(tf.clip_by_value(image[..., :3], 0.1, 0.9))
    padded = tf.pad(prepared[:, 1:31, 2:30, :], [[0, 0], [1, 2], [0, 1], [0, 0]])
    features = tf.sqrt(tf.exp(tf.abs(layers.Conv2D(4, 3, strides=2)(padded))))
    places = layers.Concatenate()([tf.reduce_mean(features, -1, keepdims=True), tf.reduce_max(features, -1, True)])
    features = tf.square(features * layers.Conv2D(1, 3, padding="same", activation="sigmoid")(places))
    return keras.Model(image, scores(tf.math.l2_normalize(tf.reduce_sum(features, axis=[1, 2]), axis=1)))


def graph_mode() -> keras.Model:
    """TensorFlow's functions as TensorFlow 2.0 to 2.3, or 2.15 without eager execution, describes them."""
    image = keras.Input(SIZE)
    prepared = keras.applications.imagenet_utils.preprocess_input(image * 255.0, mode="caffe")
    features = layers.Conv2D(4, 3, strides=2)(1.0 - prepared / 127.5)
    features = tf.cast(features * tf.nn.relu6(features + 3.0) * (1 / 6), "float32")
    return keras.Model(image, scores(tf.reduce_mean(features, [1, 2])))


def mixed_precision() -> keras.Model:
    """A network that computes in float16."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    image = keras.Input(SIZE)
    features = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    features = layers.GlobalAveragePooling2D()(features)
    network = keras.Model(image, layers.Dense(3, activation="softmax", dtype="float32")(features))
    keras.mixed_precision.set_global_policy("float32")
    return network


def as_tensorflow_1(node: object) -> object:
    """A description as tf.keras of TensorFlow 1.13 to 1.15 wrote it."""
    if isinstance(node, list):
        return [as_tensorflow_1(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {
        key: as_tensorflow_1(value)
        for key, value in node.items()
        if key not in ("module", "registered_name", "build_config")
    }
    config, kind = node.get("config"), node.get("class_name")
    if isinstance(config, dict):
        for key, value in config.items():
            if key.endswith("_initializer") and value:
                value["config"]["dtype"] = "float32"
        if config.get("activation") == "softmax":
            config["activation"] = "softmax_v2"  # TensorFlow's name for tf.nn.softmax
        for key in ("groups", "keepdims", "synchronized"):
            config.pop(key, None)
    if kind == "Sequential":  # without InputLayer: the first layer says how large the images are
        config["layers"] = [layer for layer in config["layers"] if layer["class_name"] != "InputLayer"]
    return (
        node | {"class_name": {"BatchNormalization": "BatchNormalizationV1", "Functional": "Model"}.get(kind, kind)}
        if kind
        else node
    )


def tensorflow_1() -> keras.Model:
    """What becomes, with ``as_tensorflow_1``, a network of that time."""
    return keras.Sequential(
        [
            keras.Input(SIZE),
            layers.Conv2D(4, 3, name="features/conv", input_shape=SIZE, kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.TimeDistributed(layers.Conv1D(4, 1, activation=layers.LeakyReLU(0.4), bias_constraint="non_neg")),
            keras.Sequential([layers.SeparableConv2D(4, 3, input_shape=(30, 30, 4)), layers.GlobalMaxPooling2D()]),
            layers.Dense(3, activation="softmax", kernel_initializer="random_normal"),
        ]
    )


def save(name: str, network: keras.Model, image: np.ndarray) -> np.ndarray:
    """Save a network with weights that all matter, and return what it says of the image."""
    rng = np.random.default_rng(1)
    for weight in network.trainable_weights:
        if len(weight.shape) == 1:
            weight.assign(rng.uniform(0.2, 1, weight.shape))
        elif len(weight.shape) == 2 and weight.shape[-1] == 3:
            weight.assign(rng.normal(size=weight.shape))
    for weight in network.non_trainable_weights:
        if "moving" in weight.name:
            weight.assign(rng.uniform(0.2, 1, weight.shape))
    network.save(FOLDER / f"{name}.h5")
    return network.predict(image[np.newaxis], verbose=0)[0]


def main() -> None:
    """Write the networks and the answers."""
    FOLDER.mkdir(exist_ok=True)
    keras.utils.set_random_seed(1)
    image = np.random.default_rng(0).random(SIZE, dtype="float32")
    builders = [convolutions, slashes, sequential, shared, attention, operations, mixed_precision, tensorflow_1]
    answers = {build.__name__: save(build.__name__, build(), image) for build in builders}
    for mode in ("caffe", "tf", "torch"):
        answers[f"preprocess_{mode}"] = save(f"preprocess_{mode}", preprocess(mode), image)
    with tf.Graph().as_default(), tf.compat.v1.Session().as_default():
        answers["graph_mode"] = save("graph_mode", graph_mode(), image)
    answers["functions"] = save("functions", functions(), image)
    with h5py.File(FOLDER / "tensorflow_1.h5", "r+") as file:
        file.attrs["model_config"] = json.dumps(as_tensorflow_1(json.loads(file.attrs["model_config"])))
        file.attrs["keras_version"] = "2.2.4-tf"
    np.savez(FOLDER / "answers.npz", image=image, **answers)


if __name__ == "__main__":
    main()
