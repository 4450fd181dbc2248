"""A plain loop in PyTorch, as its tutorial "Transfer Learning for Computer Vision" fine-tunes a network.

RandomResizedCrop and flip, SGD with 0.001 and momentum 0.9, a tenth of it after seven epochs, batches of four; the
tutorial's 25 epochs, or as many as the time allows.
"""

import sys

import timm
import torch
from telling import answering, tell
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

folder = sys.argv[1]
normalize = transforms.Normalize([0.5] * 3, [0.5] * 3)
augment = transforms.Compose(
    [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor(), normalize]
)
centre = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), normalize])
train, test = ImageFolder(f"{folder}/train", augment), ImageFolder(f"{folder}/test", centre)
model = timm.create_model("tf_efficientnet_lite0.in1k", pretrained=True, num_classes=len(train.classes))
loss_of = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
for _ in range(25):
    model.train()
    for x, y in DataLoader(train, batch_size=4, shuffle=True, num_workers=2):
        optimizer.zero_grad()
        loss_of(model(x), y).backward()
        optimizer.step()
    scheduler.step()
    model.eval()
    with answering(), torch.inference_mode():
        answers = [i for x, _ in DataLoader(test, batch_size=32, num_workers=2) for i in model(x).argmax(1).tolist()]
    tell((path, train.classes[answer]) for (path, _), answer in zip(test.samples, answers, strict=True))
