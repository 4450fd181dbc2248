"""Carry out the Dockerfile's steps for the `serve` image without Docker, and check that its service answers.

    python scripts/check_container.py MODEL.onnx PICTURE

The steps are read from the Dockerfile: COPY, bind mounts and pip commands of the stages `wheel` and `serve` run in
clean virtual environments; then ENTRYPOINT with CMD is started, HEALTHCHECK runs, and a request is answered. Not
checked: the base image, the user, and that BuildKit accepts the file. Python is the one that runs this script.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
MAX_SITE_BYTES = 250_000_000
FORBIDDEN = ("torch", "torchvision", "timm", "scipy", "sklearn", "pyarrow", "matplotlib")
START_S, ANSWER_S = 60.0, 30.0
TOKEN_FILE, TOKEN = "/run/secrets/thawline_token", "of-this-check"


@dataclass(frozen=True)
class Step:
    """One instruction of a Dockerfile: its word in capitals, and the rest on one line."""

    word: str
    rest: str


def read_stages(text: str) -> dict[str, list[Step]]:
    """Return the instructions of every named stage of a Dockerfile, its FROM first."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages: dict[str, list[Step]] = {}
    current: list[Step] = []
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word.upper() == "FROM":
            current = stages.setdefault(rest.split()[-1], [])
        current.append(Step(word.upper(), rest.strip()))
    return stages


def json_words(steps: list[Step], word: str) -> list[str]:
    """Return the words of the last ENTRYPOINT, CMD or HEALTHCHECK of a stage, which must be in JSON's form."""
    rest = next(step.rest for step in reversed(steps) if step.word == word)
    words: list[str] = json.loads(rest[rest.index("[") :])
    return words


class Stage:
    """A stage: a folder in place of the image's file system, and a virtual environment."""

    def __init__(self, root: Path, others: dict[str, Path]) -> None:
        """Start with nothing; `others` are the folders of earlier stages."""
        self.root, self.others, self.place = root, others, "/"
        venv.create(root / "venv", with_pip=True)

    def inside(self, path: str) -> Path:
        """Return the path here of a path in the image."""
        return self.root / os.path.normpath(Path(self.place) / path).lstrip("/")

    def carry_out(self, step: Step) -> None:
        """Carry out an instruction, as far as it copies files or runs pip."""
        if step.word == "WORKDIR":
            self.place = step.rest
            self.inside(".").mkdir(parents=True, exist_ok=True)
        elif step.word == "COPY":
            *sources, target = step.rest.split()
            for source in sources:
                destination = self.inside(target)
                copy(in_context(source), destination / source if target.endswith("/") else destination)
        elif step.word == "RUN":
            self.run(step.rest)

    def run(self, command: str) -> None:
        """Copy the bind mounts into place and run the pip commands among those that && joins."""
        while match := re.match(r"--mount=(\S+)\s+", command):
            facts = dict(pair.split("=", 1) for pair in match.group(1).split(","))
            if facts["type"] == "bind":
                stage = self.others[facts["from"]] if "from" in facts else None
                source = stage / facts["source"].lstrip("/") if stage else in_context(facts["source"])
                copy(source, self.inside(facts["target"]))
            command = command[match.end() :]
        for part in command.split("&&"):
            words = shlex.split(part)
            if words[0] != "pip":
                print(f"  not done here: {part.strip()}")
                continue
            print(f"  {part.strip()}")
            arguments = [path for word in words[1:] for path in self.expand(word)]
            python = self.root / "venv" / "bin" / "python"
            done = subprocess.run(
                [python, "-m", "pip", "--quiet", *arguments], cwd=self.inside("."), env=clean_environment(), check=False
            )
            if done.returncode:
                sys.exit(f"check_container: {part.strip()}: pip ended with {done.returncode}")

    def expand(self, word: str) -> list[str]:
        """Return a word of a command, absolute paths moved into this folder and patterns expanded."""
        if not word.startswith("/"):
            return [word]
        path = self.inside(word)
        return sorted(map(str, path.parent.glob(path.name))) or [str(path)]


def clean_environment() -> dict[str, str]:
    """Return the environment without the variables that would let Python import other packages."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}


def in_context(name: str) -> Path:
    """Return a file of the build context; one that .dockerignore leaves out ends the check."""
    rules = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    if f"!{Path(name).parts[0]}" not in rules:
        sys.exit(
            f"check_container: {name} is copied by the Dockerfile, but .dockerignore leaves it out: allow it there"
        )
    return REPOSITORY / name


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder without Python's caches."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def site_packages(stage: Stage) -> Path:
    """Return the folder of a stage's packages."""
    return next((stage.root / "venv" / "lib").glob("python*/site-packages"))


def measure(stage: Stage) -> int:
    """Return the bytes of a stage's packages; too many, or a forbidden package, end the check."""
    place = site_packages(stage)
    unwanted = [name for name in FORBIDDEN if (place / name).exists()]
    if unwanted:
        sys.exit(f"check_container: {', '.join(unwanted)} would be in the serve image: remove what requires it")
    size = sum(path.lstat().st_size for path in place.rglob("*") if path.is_file())
    if size > MAX_SITE_BYTES:
        sys.exit(f"check_container: the packages take {size:,} bytes, more than the {MAX_SITE_BYTES:,} allowed")
    return size


def ask(stage: Stage, steps: list[Step], model: Path, picture: Path) -> None:
    """Start the image's command on a free port, run its health check, request a prediction, and stop it."""
    copy(model, stage.inside("/models/model.onnx"))
    token = stage.inside(TOKEN_FILE)
    token.parent.mkdir(parents=True)
    token.touch(mode=0o600)
    token.write_text(TOKEN, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    home = stage.root / "venv" / "bin"
    entry, *words = [*json_words(steps, "ENTRYPOINT"), *json_words(steps, "CMD")]
    command = [stage.expand(word)[0].replace("0.0.0.0", "127.0.0.1").replace("8000", port) for word in words]
    health = [word.replace("8000", port).replace(TOKEN_FILE, str(token)) for word in json_words(steps, "HEALTHCHECK")]
    service = subprocess.Popen([home / entry, *command], env=clean_environment(), cwd=stage.inside("/models"))
    try:
        until = time.monotonic() + START_S
        check = [str(home / health[0]), *health[1:]]
        while subprocess.run(check, env=clean_environment(), stderr=subprocess.DEVNULL, check=False).returncode:
            if service.poll() is not None or time.monotonic() > until:
                sys.exit("check_container: the service does not answer its health check")
            time.sleep(0.2)
        print("  healthy; its answer to a picture:")
        print(f"  {predict(port, picture)}")
    finally:
        service.terminate()
        service.wait(ANSWER_S)


def predict(port: str, picture: Path) -> dict[str, object]:
    """Return the prediction for one picture; a row with an error ends the check."""
    boundary = "check-container"
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="pictures"; filename="{picture.name}"\r\n\r\n'
    body = part.encode() + picture.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict",
        body,
        {"Content-Type": f"multipart/form-data; boundary={boundary}", "Authorization": f"Bearer {TOKEN}"},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_S) as response:
        (row,) = json.loads(response.read())["predictions"]
    if "label" not in row:
        sys.exit(f"check_container: no prediction but {row}")
    return {name: row[name] for name in ("path", "label", "probability")}


def main() -> None:
    """Build, measure, import and request; any failure ends with its reason and exit code 1."""
    parser = argparse.ArgumentParser(description="Carry out the Dockerfile's serve steps without Docker.")
    parser.add_argument("model", type=Path, help="an ONNX file that `thawline export` wrote")
    parser.add_argument("picture", type=Path, help="a picture to predict")
    arguments = parser.parse_args()
    stages = read_stages((REPOSITORY / "Dockerfile").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="thawline-container-") as place:
        roots: dict[str, Path] = {}
        for name in ("wheel", "serve"):
            print(f"stage {name}, with Python {sys.version.split()[0]}")
            root = Path(place) / name
            stage = Stage(root, roots)
            for step in stages[name]:
                stage.carry_out(step)
            roots[name] = root
        size = measure(stage)
        print(f"  site-packages: {size / 1e6:,.1f} MB of {MAX_SITE_BYTES / 1e6:,.0f} MB")
        code = "import thawline, sys; thawline.__version__; sys.exit('torch' in sys.modules)"
        subprocess.run([root / "venv" / "bin" / "python", "-c", code], env=clean_environment(), check=True)
        ask(stage, stages["serve"], arguments.model, arguments.picture)
    print("the serve image's steps hold")


if __name__ == "__main__":
    main()
