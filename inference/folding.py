"""A network rewritten in fewer and cheaper operations: the answers stay the same, but it cannot be trained any more."""

from collections.abc import Callable, Iterator

from .backend import keras, tf


def fold_batch_normalization(model: keras.Model) -> None:
    """Move the scaling of each BatchNormalization into the convolution before it, so that it only adds an offset.

    ``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` (Ioffe and Szegedy, 2015, algorithm 2) is linear in x, and
    so is a convolution: scaled kernels give scaled images. TensorFlow then runs convolution,
    offset and activation as one operation instead of five.

    :raises Exception: of any kind; some layers may be folded by then.
    """
    outputs = {id(tensor) for each in _models(model) for tensor in each.outputs}
    calls = {id(call) for each in _models(model) for call in _calls(each)}
    for normalization in layers(model):
        convolution = _only_convolution_before(normalization, outputs, calls)
        if convolution is None:
            continue
        variance, mean = normalization.moving_variance, normalization.moving_mean
        scale = 1 / tf.sqrt(variance + normalization.epsilon)
        if normalization.scale:
            scale *= normalization.gamma
        offset = -mean * scale
        if normalization.center:
            offset += normalization.beta
        convolution.kernel.assign(convolution.kernel * scale)  # its last axis is that of the channels
        if convolution.use_bias:
            convolution.bias.assign(convolution.bias * scale)
        normalization.call = _adding(offset)


def compute_in_bfloat16(model: keras.Model) -> None:
    """Have a network compute in bfloat16 from its first convolution to its last one.

    The layers before it (the scaling of the image) and after it (the head) stay as they are. Kernels are stored in
    bfloat16, because converting them each time takes longer than the convolution gains.

    :raises Exception: of any kind; some layers may be converted by then.
    """
    in_order = list(layers(model))
    numbers = [number for number, layer in enumerate(in_order) if isinstance(layer, keras.layers.Conv2D)]
    for layer in in_order[numbers[0] : numbers[-1] + 1] if numbers else ():
        layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
        if isinstance(layer, keras.layers.Conv2D):
            layer.call = _convolving(layer, tf.Variable(tf.cast(layer.kernel, tf.bfloat16), trainable=False))


def layers(model: keras.Model) -> Iterator[keras.Layer]:
    """The layers of a model, and of the models inside it, in the order in which an image passes them."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from layers(layer)
        else:
            yield layer


def _models(model: keras.Model) -> Iterator[keras.Model]:
    """The model and the models inside it."""
    yield model
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _models(layer)


def _calls(model: keras.Model) -> Iterator[object]:
    """The calls of layers that make up a model (Keras's ``Node``)."""
    graph = getattr(model, "_functional", model)  # a Sequential keeps one inside
    for calls in graph._nodes_by_depth.values():
        yield from calls


def _only_convolution_before(layer: keras.Layer, outputs: set[int], calls: set[int]) -> keras.layers.Conv2D | None:
    """The convolution whose only consumer is this layer; None if there is none, or if it cannot take the scaling.

    :param layer: any layer; None is returned unless it is a BatchNormalization.
    :param outputs: the ids of the tensors that are outputs of a model.
    :param calls: the ids of the calls of layers that make up the models. There may have been others: a Sequential
        that is loaded calls its layers again with each layer that is added.
    """
    # Keras has no public way to ask what a layer is connected to.
    inbound = [call for call in layer._inbound_nodes if id(call) in calls]
    if not isinstance(layer, keras.layers.BatchNormalization) or len(inbound) != 1:
        return None
    (tensor,) = inbound[0].input_tensors
    before = tensor._keras_history.operation
    if not isinstance(before, keras.layers.Conv2D) or before.activation is not keras.activations.linear:
        return None
    is_only_consumer = all(
        sum(id(call) in calls for call in nodes) == 1 for nodes in (before._inbound_nodes, before._outbound_nodes)
    )
    channels_last = before.data_format == "channels_last" and layer.axis in (-1, 3)
    is_float32 = before.compute_dtype == layer.compute_dtype == "float32"
    return before if is_only_consumer and id(tensor) not in outputs and channels_last and is_float32 else None


def _adding(offset: tf.Tensor) -> Callable[..., tf.Tensor]:
    """A ``call`` that only adds an offset to each channel."""
    constant = offset.numpy()

    # "inputs" as in Keras: a saved network may name it.
    def call(inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        return tf.nn.bias_add(inputs, tf.constant(constant, inputs.dtype))

    return call


def _convolving(convolution: keras.layers.Conv2D, kernel: tf.Variable) -> Callable[..., tf.Tensor]:
    """The ``call`` of a convolution with another kernel in place of its own."""

    def call(inputs: tf.Tensor) -> tf.Tensor:
        convolved = convolution.convolution_op(inputs, kernel)
        if convolution.use_bias:
            channels = "NHWC" if convolution.data_format == "channels_last" else "NCHW"
            convolved = tf.nn.bias_add(convolved, tf.cast(convolution.bias, kernel.dtype), channels)
        return convolution.activation(convolved)

    return call
