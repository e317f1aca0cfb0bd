"""Content tags: what changes them and what does not."""

from pathlib import Path

import pytest
from images.recipe import ROOT, Recipe, digest, recipes, reference, snapshot, tag

RECIPE = Recipe(
    name="thing",
    dockerfile="Dockerfile",
    target="thing",
    sources=("code",),
    locks=("requirements/thing.txt",),
    wheels=("requirements/thing.txt",),
    imports=("thing",),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {
        "Dockerfile": "FROM scratch",
        "code/a.py": "a = 1",
        "code/deep/b.py": "b = 2",
        "images/stage/install.py": "",
        "requirements/uv.txt": "uv==1",
        "requirements/thing.txt": "thing==1",
        "other/c.py": "c = 3",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "changed",
    ["Dockerfile", "code/deep/b.py", "images/stage/install.py", "requirements/uv.txt",
     "requirements/thing.txt"],
)  # fmt: skip
def test_a_changed_input_changes_the_tag(tree: Path, changed: str) -> None:
    before = tag(RECIPE, "base", tree)

    (tree / changed).write_text("something else")

    assert tag(RECIPE, "base", tree) != before


def test_another_base_changes_the_tag(tree: Path) -> None:
    assert tag(RECIPE, "one", tree) != tag(RECIPE, "two", tree)


def test_a_moved_file_changes_the_tag(tree: Path) -> None:
    before = tag(RECIPE, "base", tree)

    (tree / "code/a.py").rename(tree / "code/z.py")

    assert tag(RECIPE, "base", tree) != before


def test_what_the_image_does_not_hold_leaves_the_tag(tree: Path) -> None:
    before = tag(RECIPE, "base", tree)

    (tree / "other/c.py").write_text("c = 4")
    (tree / "code/__pycache__").mkdir()
    (tree / "code/__pycache__/a.pyc").write_bytes(b"x")
    (tree / "code/thing.egg-info").mkdir()
    (tree / "code/a.py").touch()

    assert tag(RECIPE, "base", tree) == before


def test_a_missing_input_is_named(tree: Path) -> None:
    (tree / "requirements/thing.txt").unlink()

    with pytest.raises(FileNotFoundError, match=r"thing\.txt"):
        tag(RECIPE, "base", tree)


def test_a_snapshot_has_the_tag_of_its_origin(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("copy")

    snapshot(RECIPE.inputs(), tree, copy)

    assert tag(RECIPE, "base", copy) == tag(RECIPE, "base", tree)
    assert not (copy / "other").exists()


def test_words_and_files_cannot_be_confused(tree: Path) -> None:
    assert digest(["ab", "c"], (), tree) != digest(["a", "bc"], (), tree)


def test_a_reference_is_a_name_that_every_registry_accepts() -> None:
    assert reference("operator", "0a1b") == "localhost/llm-operator/operator:0a1b"


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_every_recipe_names_files_that_exist(variant: str) -> None:
    for recipe in recipes(variant):
        assert tag(recipe, "base", ROOT)


def test_the_serving_image_holds_nothing_that_reads_checkpoints() -> None:
    for variant in ("cpu", "cuda"):
        (runtime,) = [r for r in recipes(variant) if r.target == "runtime"]
        assert {"onnx", "safetensors", "torch"} <= set(runtime.absent)
