"""An artifact's image: equal layers, equal digest; no other image is taken for one."""

import json
from typing import Any

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.image import Descriptor, Layer, compose, digest_of, read_layers
from llm_runtime.model.tar_layer import TarLayer

DIGEST = "sha256:" + "a" * 64
LAYERS = [Layer(DIGEST, TarLayer("model.data", 10)), Layer(DIGEST, TarLayer("model.onnx", 20))]


def test_what_is_composed_is_read_back() -> None:
    size = LAYERS[0].tar.size
    assert read_layers(compose(LAYERS).manifest) == {
        "model.data": Descriptor("model.data", DIGEST, size),
        "model.onnx": Descriptor("model.onnx", DIGEST, LAYERS[1].tar.size),
    }


def test_equal_layers_give_an_equal_image() -> None:
    assert compose(LAYERS) == compose(list(LAYERS))
    assert compose(LAYERS).digest != compose(LAYERS[:1]).digest


def test_the_manifest_names_the_config_by_digest_and_size() -> None:
    image = compose(LAYERS)
    config = json.loads(image.manifest)["config"]
    assert (config["digest"], config["size"]) == (digest_of(image.config), len(image.config))


def altered(**changes: Any) -> bytes:
    document = json.loads(compose(LAYERS).manifest)
    document["layers"][0] |= changes
    return json.dumps(document).encode()


def title(name: str) -> dict[str, Any]:
    return {"annotations": {"org.opencontainers.image.title": name}}


WRONG = {
    "garbage": b"\xff",
    "no object": b"[]",
    "an index": b'{"schemaVersion": 2, "manifests": []}',
    "a compressed layer": altered(mediaType="application/vnd.oci.image.layer.v1.tar+gzip"),
    "a layer without a title": altered(annotations={}),
    "a title that leads outside": altered(**title("../../etc/passwd")),
    "a hidden title": altered(**title(".ssh")),
    "two layers of one file": altered(**title("model.onnx")),
    "another algorithm": altered(digest="md5:" + "a" * 32),
    "a digest with a path in it": altered(digest="sha256:../" + "a" * 61),
    "a negative size": altered(size=-1),
}


@pytest.mark.parametrize("case", WRONG)
def test_no_other_image_is_taken_for_a_model(case: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_layers(WRONG[case])
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH
