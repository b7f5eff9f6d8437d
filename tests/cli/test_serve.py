"""`jointmat serve` as it is started and stopped."""

import re
import signal
import socket
import subprocess
import sys

import httpx
import numpy as np
import pytest
from click.testing import CliRunner

from jointmat.cli.serve import listen, serve
from jointmat.errors import InputError
from jointmat.io.write import encode_image
from tests.fakes import brightness_model

pytest.importorskip("fastapi", reason="needs jointmat[serve]")
onnx = pytest.importorskip("onnx")

from tests.serve.host import COMMAND, ROOT, address, started


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(brightness_model(tmp_path_factory.mktemp("model") / "brightness.onnx"))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_stops_cleanly(model, sign):
    with started("--model", model) as process:
        try:
            answer = httpx.get(f"{address(process)}healthz", timeout=30)
            assert answer.json() == {"status": "ok", "jobs": 0, "workers": 1}
        finally:
            process.send_signal(sign)
        _, errors = process.communicate(timeout=30)
    log, *_, last = errors.strip().splitlines()
    assert "GET /healthz 200" in log
    assert (process.returncode, last) == (130, "interrupted")


def test_a_damaged_request_is_in_the_log_only_where_its_level_is(model):
    for level, said in (("warning", True), ("error", False)):
        with started("--model", model, "--log-level", level) as process:
            try:
                port = int(address(process).rpartition(":")[2].strip("/"))
                with socket.create_connection(("127.0.0.1", port)) as line:
                    line.sendall(b"nonsense\r\n\r\n")
                    assert b" 400 " in line.recv(1000)
            finally:
                process.terminate()
            _, errors = process.communicate(timeout=30)
        assert ("Invalid HTTP request" in errors) == said


def test_a_port_in_use_is_one_line(model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--port", port, "--model", model], cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: 127.0.0.1:{port}: cannot listen: Address already in use: choose another --host or --port\n"
    )


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_what_is_no_host_name_is_one_line(host):
    with pytest.raises(InputError, match=f"^{host}:0: cannot listen: not a host name: choose another --host"):
        listen(host, 0)


@pytest.mark.parametrize("option", ["--max-mb", "--max-mp", "--deadline", "--upload-time", "--answer-time"])
@pytest.mark.parametrize("number", ["nan", "inf", "1e308"])
def test_a_bound_is_a_number_that_can_be_counted_to(option, number):
    done = CliRunner().invoke(serve, [option, number, "--model", "nobody.onnx"])
    assert done.exit_code == 2
    *_, line = done.output.splitlines()
    assert line.startswith(f"Error: Invalid value for '{option}': ")
    assert "1000000" in line


def test_what_cannot_work_fails_before_anybody_connects(tmp_path):
    done = subprocess.run(
        [*COMMAND, "--model", "nobody.onnx"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "nobody.onnx" in done.stderr


def test_it_needs_no_shared_memory(model, little_shared_memory):
    with started("--model", model, before=little_shared_memory) as process:
        try:
            photo = {"image": encode_image(np.zeros((400, 500, 3), np.uint8))}
            answer = httpx.post(f"{address(process)}v1/alpha", files=photo, timeout=60)
            assert answer.status_code == 200, answer.text
        finally:
            process.terminate()
        process.communicate(timeout=30)


def test_a_model_that_ends_its_process_is_one_line(tmp_path, model):
    """As ONNX Runtime ends it, for some damaged graphs."""
    graph = onnx.load(model)
    (split,) = (node for node in graph.graph.node if node.op_type == "Split")
    (number,) = (attribute for attribute in split.attribute if attribute.name == "num_outputs")
    number.i = 2
    onnx.save(graph, tmp_path / "damaged.onnx")
    command = [*COMMAND, "--port", "0", "--model", str(tmp_path / "damaged.onnx")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert re.match(
        r"error: (worker \d+ ended while it started, exit code -6|.*damaged\.onnx: )", last(done.stderr)
    )


def last(text):
    return text.splitlines()[-1]


def test_without_its_packages_it_says_how_to_get_them():
    blocked = "import sys; sys.modules['fastapi'] = None; sys.argv[1:] = ['serve']"
    code = f"{blocked}; from jointmat.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"error: jointmat serve needs fastapi: pip install .*\[serve\]'\n", done.stderr)
