"""Two servers behind nginx, with the file that compose.yaml gives it."""

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.serve.conftest import refused, until
from tests.serve.host import free_port

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")


@pytest.fixture
def balancer(tmp_path):
    """Starts nginx before some ports; returns a client of it."""
    running = []

    def balancer(*ports):
        port = free_port()
        servers = " ".join(f"server 127.0.0.1:{number} max_fails=0;" for number in ports)
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        for old, new in {
            "server app:8000 max_fails=0;": servers,
            "listen 8080": f"listen 127.0.0.1:{port}",
        }.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "nginx.conf").write_text(f"user root;\ndaemon off;\n{text}")
        running.append(subprocess.Popen(["nginx", "-p", tmp_path, "-c", "nginx.conf"], stderr=subprocess.DEVNULL))
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
        running.append(client)
        until(lambda: answers(client))
        return client

    yield balancer
    for each in reversed(running):
        if isinstance(each, httpx.Client):
            each.close()
        else:
            each.terminate()
            each.wait(10)


def answers(client):
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_client_finds_its_photos_again(balancer, serve, photo):
    client = balancer(serve().port, serve().port)
    for _ in range(4):
        kept = client.post("/v1/photos", files=photo).json()
        assert client.get(kept["cutout"]).status_code == 200
        client.cookies.clear()
    assert client.get("/v1/photos/none/cutout").status_code == 404


def test_what_one_server_has_no_room_for_another_does(balancer, serve, photo, monkeypatch):
    busy, idle = serve(), serve()
    client = balancer(busy.port, idle.port)
    monkeypatch.setattr(busy.app.state.gate, "_full", lambda: True)
    refused(busy.post("/v1/cutout", files=photo), 503)
    assert [client.post("/v1/cutout", files=photo).status_code for _ in range(4)] == [200] * 4
    monkeypatch.setattr(idle.app.state.gate, "_full", lambda: True)
    answer = client.post("/v1/cutout", files=photo)
    refused(answer, 503, "busy")
    assert answer.headers["Retry-After"]


def test_the_rest_goes_on_without_a_server_that_died(balancer, serve, photo):
    client = balancer(free_port(), serve().port)
    assert [client.post("/v1/cutout", files=photo).status_code for _ in range(4)] == [200] * 4
    kept = client.post("/v1/photos", files=photo).json()
    assert client.get(kept["cutout"]).status_code == 200
