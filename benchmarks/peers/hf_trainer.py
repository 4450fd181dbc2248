"""Hugging Face's `Trainer`, as its example `run_image_classification.py` is called on a folder of pictures.

transformers, examples/pytorch/image-classification/README.md: five epochs, learning rate 2e-5, batches of eight;
RandomResizedCrop and flip. The network is timm's, through transformers' own `TimmWrapper`.
"""

import sys

import torch
from datasets import load_dataset
from telling import answering, tell
from torchvision import transforms
from torchvision.datasets import ImageFolder
from transformers import AutoModelForImageClassification, Trainer, TrainerCallback, TrainingArguments

folder = sys.argv[1]
normalize = transforms.Normalize([0.5] * 3, [0.5] * 3)
augment = transforms.Compose(
    [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor(), normalize]
)
centre = transforms.Compose([transforms.Resize(224), transforms.CenterCrop(224), transforms.ToTensor(), normalize])
train = load_dataset("imagefolder", data_dir=f"{folder}/train", split="train")
names = train.features["label"].names
train.set_transform(
    lambda rows: {
        "pixel_values": [augment(image.convert("RGB")) for image in rows["image"]],
        "labels": rows["label"],
    }
)
test = ImageFolder(f"{folder}/test", centre)
model = AutoModelForImageClassification.from_pretrained(
    "timm/tf_efficientnet_lite0.in1k", num_labels=len(names), ignore_mismatched_sizes=True
)


class Tell(TrainerCallback):
    """Answers the test pictures after every epoch."""

    def on_epoch_end(self, args, state, control, **kwargs):
        model.eval()
        with answering(), torch.inference_mode():
            batches = torch.utils.data.DataLoader(test, batch_size=32, num_workers=2)
            answers = [answer for x, _ in batches for answer in model(x).logits.argmax(1).tolist()]
        tell((path, names[answer]) for (path, _), answer in zip(test.samples, answers, strict=True))
        model.train()


arguments = TrainingArguments(
    output_dir="trained",
    remove_unused_columns=False,
    learning_rate=2e-5,
    num_train_epochs=5,
    per_device_train_batch_size=8,
    dataloader_num_workers=2,
    seed=1337,
    report_to="none",
)
Trainer(model=model, args=arguments, train_dataset=train, callbacks=[Tell()]).train()
