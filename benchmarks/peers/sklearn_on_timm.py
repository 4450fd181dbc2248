"""Features of timm's network and scikit-learn's logistic regression: the shortest script that a practitioner writes.

As timm's own documentation extracts features (`num_classes=0`, the network's data config) and as scikit-learn chooses a
penalty (`LogisticRegressionCV`).
"""

import sys

import timm
import torch
from sklearn.linear_model import LogisticRegressionCV
from telling import tell
from timm.data import create_transform, resolve_data_config
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

folder = sys.argv[1]
model = timm.create_model("tf_efficientnet_lite0.in1k", pretrained=True, num_classes=0).eval()
transform = create_transform(**resolve_data_config({}, model=model))


@torch.inference_mode()
def features(pictures):
    return torch.cat([model(x) for x, _ in DataLoader(pictures, batch_size=32, num_workers=2)]).numpy()


train, test = (ImageFolder(f"{folder}/{part}", transform) for part in ("train", "test"))
head = LogisticRegressionCV(
    Cs=5, cv=5, max_iter=1000, n_jobs=-1, use_legacy_attributes=False, l1_ratios=(0,), scoring="accuracy"
)
head.fit(features(train), train.targets)
answers = head.predict(features(test))
tell((path, train.classes[answer]) for (path, _), answer in zip(test.samples, answers, strict=True))
