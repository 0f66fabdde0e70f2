"""Keras and TensorFlow. They read these two variables when they are imported, so this package imports them here."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever ~/.keras/keras.json says
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a missing GPU is not an error

import keras
import tensorflow as tf

__all__ = ["keras", "tf"]
