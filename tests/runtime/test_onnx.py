"""The ONNX Runtime backend answers as the model does, and refuses every file that is not an exported one."""

import threading
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from jointmat.errors import DeviceError, WeightsError
from jointmat.runtime import onnx as onnx_backend
from jointmat.runtime.onnx import SIGNATURE, OnnxBackend
from jointmat.runtime.providers import PROVIDERS

torch = pytest.importorskip("torch")

from tests.tiny import hard_planes, images

INPUTS, OUTPUTS = SIGNATURE


# --- Files that pass for a model


def write(
    path,
    *,
    inputs=INPUTS,
    outputs=OUTPUTS,
    opset=18,
    properties=None,
    weight=None,
    shape=("b", 3, "h", "w"),
    kind=TensorProto.FLOAT,
):
    """A graph that copies its first input to every output, and sums `weight`."""
    nodes = [helper.make_node("Identity", [inputs[0]], [name]) for name in outputs]
    if weight is not None:
        nodes.append(helper.make_node("ReduceSum", ["weight"], ["sum"], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(name, kind, ("b", 1, "h", "w") if name == "prior" else shape)
            for name in inputs
        ],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [] if weight is None else [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, {"stride": "32"} if properties is None else properties)
    path.write_bytes(model.SerializeToString())
    return path


def weight(dims, data=b""):
    return TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=dims, raw_data=data)


def external(location):
    """A weight of four numbers that lie in another file."""
    tensor = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "16"}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def refusal(path):
    with pytest.raises(WeightsError) as error:
        OnnxBackend(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (("b", 3, 64, 64), TensorProto.FLOAT),
        ((1, 3, "h", "w"), TensorProto.FLOAT),
        (("b", 4, "h", "w"), TensorProto.FLOAT),
        (("b", 3, "h", "w"), TensorProto.FLOAT16),
        (("b", "h", "w"), TensorProto.FLOAT),
    ],
)
def test_a_file_that_does_not_take_any_image_is_refused(tmp_path, shape, kind):
    text = refusal(write(tmp_path / "other.onnx", shape=shape, kind=kind))
    assert "takes image as tensor(float" in text
    assert "expected tensor(float) with channels 3 and any batch, height and width" in text


# --- Answers


def test_images_with_a_trimap_and_without_go_in_one_batch(exported):
    image = images(2, 32, 96)
    planes = torch.cat([hard_planes(32, 96), torch.zeros(1, 3, 32, 96)])
    backend = OnnxBackend(exported.onnx)
    both = backend.run(image.numpy(), planes.numpy())
    alone = backend.run(image[1:].numpy())
    np.testing.assert_allclose(both.alpha[1:], alone.alpha, atol=1e-5)
    np.testing.assert_allclose(both.trimap[1:], alone.trimap, atol=1e-5)


def test_too_little_memory_is_one_line_for_this_image(exported, monkeypatch):
    state = onnxruntime.capi.onnxruntime_pybind11_state
    backend, image = OnnxBackend(exported.onnx), images(1, 64, 96).numpy()

    def fail(error):
        session = SimpleNamespace(run=raising(error), get_providers=lambda: ["CPUExecutionProvider"])
        monkeypatch.setattr(backend, "_session", session)
        backend.run(image)

    for error in (
        state.Fail("bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 9"),
        state.RuntimeException("CUDA failure 2: out of memory"),
        MemoryError("std::bad_alloc"),
    ):
        with pytest.raises(DeviceError) as raised:
            fail(error)
        text = "CPUExecutionProvider: not enough memory for 64x96 (HxW): use a smaller max_side"
        assert str(raised.value) == text
    with pytest.raises(state.Fail, match="another"):
        fail(state.Fail("another mistake"))


def raising(error):
    def run(*_):
        raise error

    return run


def test_says_what_it_is(exported):
    backend = OnnxBackend(str(exported.onnx))
    assert (backend.name, backend.device, backend.stride) == ("onnx", "cpu", 32)


def test_says_what_computes(exported):
    backend = OnnxBackend(exported.onnx)
    assert (
        backend.engine == f"ONNX Runtime {onnxruntime.__version__}, CPUExecutionProvider, {exported.onnx} (fp32)"
    )


def test_threads_sleep_between_calls(exported):
    backend = OnnxBackend(exported.onnx, threads=2)
    options = backend._session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_several_threads_at_once(exported):
    backend = OnnxBackend(exported.onnx, threads=1)
    inputs = [images(1, 64, 64, seed).numpy() for seed in range(4)]
    expected = [backend.run(image).alpha for image in inputs]
    found = [None] * 4

    def work(i):
        found[i] = backend.run(inputs[i]).alpha

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# --- Devices


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="the CUDA provider is there"
)
@pytest.mark.parametrize(("device", "provider"), [("cuda", "CUDA"), ("tensorrt", "Tensorrt")])
def test_a_provider_that_is_not_there(exported, device, provider):
    with pytest.raises(DeviceError) as error:
        OnnxBackend(exported.onnx, device=device)
    start = f"device={device!r}: onnxruntime here has no {provider}ExecutionProvider (it has "
    assert str(error.value).startswith(start)
    assert str(error.value).endswith("use device='cpu'") and "pip install onnxruntime-gpu" in str(error.value)


def test_a_provider_that_does_not_start_is_no_silent_cpu(exported, monkeypatch):
    available = [*onnxruntime.get_available_providers(), "CUDAExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    start = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, **_: start(path, options, providers=["CPUExecutionProvider"]),
    )
    with pytest.raises(DeviceError, match="CUDAExecutionProvider could not be started; use device='cpu'"):
        OnnxBackend(exported.onnx, device="cuda")


class FakeSession:
    """Notes how it was opened; its graph is the one that is asked for."""

    def __init__(self, path, options, providers, **_):
        self.path, self.providers = path, providers

    def get_providers(self):
        return [name for name, _ in self.providers]

    def get_inputs(self):
        return [
            SimpleNamespace(name=name, type="tensor(float)", shape=["b", count, "h", "w"])
            for name, count in zip(INPUTS, (3, 3, 1), strict=True)
        ]

    def get_outputs(self):
        return [SimpleNamespace(name=name, shape=["b", 3, "h", "w"]) for name in OUTPUTS]

    def get_modelmeta(self):
        return SimpleNamespace(custom_metadata_map={"stride": "32"})

    def run(self, outputs, given, options):
        return [given["prior"] for _ in outputs]


@pytest.fixture
def on_a_gpu(monkeypatch, tmp_path):
    """What sessions are opened with where all providers are there."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(PROVIDERS.values()))
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_cuda_first_and_nothing_else(exported, on_a_gpu):
    backend = OnnxBackend(exported.onnx, device="cuda")
    assert backend._session.get_providers() == ["CUDAExecutionProvider"]
    assert "CUDAExecutionProvider" in backend.engine


def test_the_second_of_several_gpus(exported, on_a_gpu):
    ((name, options),) = OnnxBackend(exported.onnx, device="cuda:1")._session.providers
    assert (name, options["device_id"]) == ("CUDAExecutionProvider", 1)


def test_tensorrt_keeps_its_engines_and_chooses_half_precision_by_itself(exported, on_a_gpu, tmp_path):
    session = OnnxBackend(exported.onnx, device="tensorrt", precision="fp16")._session
    assert session.path == exported.onnx, "it gets the fp32 file"
    (name, options), (second, _) = session.providers
    assert (name, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert options["trt_fp16_enable"] and options["trt_engine_cache_enable"] and not options["trt_int8_enable"]
    folder = tmp_path / "cache" / "jointmat" / "tensorrt"
    assert folder.is_dir() and options["trt_engine_cache_path"] == str(folder)
    shapes = [options[f"trt_profile_{end}_shapes"] for end in ("min", "opt", "max")]
    for shape in shapes:
        inputs = [part.replace(":", "x").split("x") for part in shape.split(",")]
        assert [(name, channels) for name, _, channels, *_ in inputs] == list(zip(INPUTS, "331", strict=True))
        assert all(int(batch) >= 1 for _, batch, *_ in inputs)
        assert all(int(side) % 32 == 0 for *_, height, width in inputs for side in (height, width))


def test_tensorrt_without_a_folder_for_its_engines(exported, on_a_gpu, tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(DeviceError, match=r"cannot keep engines in .*; set XDG_CACHE_HOME to a folder"):
        OnnxBackend(exported.onnx, device="tensorrt")


@pytest.mark.parametrize("device", ["tpu", "", "CPU", "cpu:1", "cuda:x", "cuda:"])
def test_an_unknown_device(exported, device):
    with pytest.raises(DeviceError) as error:
        OnnxBackend(exported.onnx, device=device)
    assert str(error.value) == f"device={device!r}: expected one of auto, cpu, cuda, tensorrt, cuda:N"


# --- Files that are refused


@pytest.mark.parametrize("keep", [0, 1000, 0.5, 0.999])
def test_a_truncated_file(exported, tmp_path, keep):
    content = exported.onnx.read_bytes()
    path = tmp_path / "short.onnx"
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    assert "not a usable ONNX file" in refusal(path)


def test_garbage(tmp_path, rng):
    path = tmp_path / "garbage.onnx"
    path.write_bytes(rng.bytes(10_000))
    assert "not a usable ONNX file" in refusal(path)


def test_a_file_of_the_other_backend(exported):
    assert "not a usable ONNX file" in refusal(exported.weights)


def test_a_folder(tmp_path):
    path = tmp_path / "folder.onnx"
    path.mkdir()
    assert refusal(path).endswith("no such weights file")


def test_a_wrong_opset(tmp_path):
    assert "not a usable ONNX file" in refusal(write(tmp_path / "new.onnx", opset=99))


@pytest.mark.parametrize(
    ("inputs", "outputs", "has"),
    [
        (("input",), OUTPUTS, "inputs input and outputs alpha, used_trimap, mask;"),
        (("image", "trimap"), ("alpha", "mask"), "inputs image, trimap and outputs alpha, mask;"),
        (INPUTS, ("alpha", "mask"), "inputs image, trimap, prior and outputs alpha, mask;"),
    ],
)
def test_wrong_names(tmp_path, inputs, outputs, has):
    text = refusal(write(tmp_path / "other.onnx", inputs=inputs, outputs=outputs))
    assert f"has {has} expected inputs image, trimap, prior and outputs alpha, used_trimap, mask" in text


@pytest.mark.parametrize(
    "properties",
    [{}, {"stride": ""}, {"stride": "wide"}, {"stride": "0"}, {"stride": "-32"}, {"stride": "9" * 30}],
)
def test_metadata_without_a_stride(tmp_path, properties):
    text = refusal(write(tmp_path / "bare.onnx", properties=properties))
    assert f"its metadata says stride={properties.get('stride', '')!r}, expected a whole number" in text


def test_a_file_that_gives_no_numbers(tmp_path):
    model = onnx.load(write(tmp_path / "sound.onnx"))
    model.graph.initializer.append(helper.make_tensor("nothing", TensorProto.FLOAT, [1], [np.nan]))
    model.graph.node[0].CopyFrom(helper.make_node("Mul", ["image", "nothing"], ["alpha"]))
    onnx.save(model, tmp_path / "nan.onnx")
    assert "alpha of a trial image is not finite" in refusal(tmp_path / "nan.onnx")


def test_a_file_that_never_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_backend, "_TRIAL_SECONDS", 0.3)
    plane = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Neg", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            plane,
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ],
    )
    model = onnx.load(write(tmp_path / "sound.onnx"))
    model.graph.initializer.append(helper.make_tensor("true", TensorProto.BOOL, [], [True]))
    model.graph.node[0].CopyFrom(helper.make_node("Loop", ["", "true", "image"], ["alpha"], body=body))
    onnx.save(model, tmp_path / "endless.onnx")
    assert "no result within 0.3 s" in refusal(tmp_path / "endless.onnx")


def test_a_file_that_asks_for_more_memory_than_there_is(tmp_path):
    model = onnx.load(write(tmp_path / "sound.onnx"))
    model.graph.initializer.append(helper.make_tensor("times", TensorProto.INT64, [4], [1, 1, 2**20, 2**20]))
    model.graph.node[0].CopyFrom(helper.make_node("Tile", ["image", "times"], ["alpha"]))
    onnx.save(model, tmp_path / "huge.onnx")
    assert "fails on a trial image" in refusal(tmp_path / "huge.onnx")


def test_a_name_that_is_no_text(tmp_path, capfd):
    content = write(tmp_path / "sound.onnx", inputs=("imageX", *INPUTS[1:])).read_bytes()
    (tmp_path / "latin.onnx").write_bytes(content.replace(b"imageX", b"image\xff"))
    assert "latin.onnx: " in refusal(tmp_path / "latin.onnx")
    content = write(tmp_path / "sound.onnx", outputs=("alphaX", *OUTPUTS[1:])).read_bytes()
    before, _, after = content.rpartition(b"alphaX")  # so that the runtime's message has the name
    (tmp_path / "latin.onnx").write_bytes(before + b"alpha\xff" + after)
    assert "latin.onnx: " in refusal(tmp_path / "latin.onnx")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("location", ["../secret.bin", "link.bin", "missing.bin", "absolute"])
def test_weights_outside_of_the_folder_are_not_read(tmp_path, location):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.ones(4, np.float32).tobytes())
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.bin").symlink_to(secret)
    place = str(secret) if location == "absolute" else location
    path = write(folder / "model.onnx", weight=external(place))
    assert "not a usable ONNX file" in refusal(path)


@pytest.mark.parametrize("dims", [[2**62, 8], [2**33, 2**33], [-4], [1000]])
def test_dimensions_that_overflow_or_do_not_fit_the_data(tmp_path, dims, capfd):
    path = write(tmp_path / "large.onnx", weight=weight(dims, b"\0" * 16))
    assert "not a usable ONNX file" in refusal(path)
    assert capfd.readouterr().err == ""  # the runtime's own log would be a second message


def test_the_graphs_of_these_tests_are_otherwise_sound(tmp_path):
    path = write(tmp_path / "sound.onnx", weight=weight([4], b"\0" * 16))
    assert OnnxBackend(path).stride == 32
