"""Keras 3 on torch: features of a frozen network once, then a small model trained on them.

keras.io, "Transfer learning & fine-tuning", its "alternative, more lightweight workflow". The weights of
`keras.applications` would have to be downloaded, so that the network is the same as all others', in a
`TorchModuleWrapper`; Keras's own reader of folders needs TensorFlow, so that torch's `DataLoader` gives the pictures,
as Keras on torch takes them. Twenty epochs of Adam, the guide's number.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import timm
from telling import answering, tell
from timm.data import create_transform, resolve_data_config
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

folder = sys.argv[1]
network = timm.create_model("tf_efficientnet_lite0.in1k", pretrained=True, num_classes=0).eval()
transform = create_transform(**resolve_data_config({}, model=network))
train, test = (ImageFolder(f"{folder}/{part}", transform) for part in ("train", "test"))
inputs = keras.Input((3, 224, 224))
backbone = keras.Model(inputs, keras.layers.TorchModuleWrapper(network, output_shape=(None, 1280))(inputs))
backbone.trainable = False


def features(pictures):
    return backbone.predict(DataLoader(pictures, batch_size=32, num_workers=2), verbose=0)


x_train, x_test, labels = features(train), features(test), np.array(train.targets)


class Tell(keras.callbacks.Callback):
    """Answers the test pictures after every epoch."""

    def on_epoch_end(self, epoch, logs=None):
        with answering():
            answers = self.model.predict(x_test, verbose=0).argmax(1)
        tell((path, train.classes[answer]) for (path, _), answer in zip(test.samples, answers, strict=True))


head = keras.Sequential([keras.layers.Dropout(0.2), keras.layers.Dense(len(train.classes))])
head.compile(
    optimizer=keras.optimizers.Adam(),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
head.fit(x_train, labels, epochs=20, verbose=0, callbacks=[Tell()])
