"""What holds for every answer, and what no request can reach."""

from functools import partial

import httpx
import pytest

from jointmat.serve.app import create_app
from tests.serve.conftest import Brightness, Serving, predictor_of, refused, until
from tests.serve.host import hosted

PATHS = ["/", "/page/app.js", "/docs/", "/v1/info", "/healthz", "/nothing/here", "/openapi.json"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_tells_browsers_to_be_strict(usual: Serving, path):
    headers = usual.http.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] in ("no-store", "no-cache")
    assert "server" not in headers


def test_results_are_kept_by_no_cache(usual, photo):
    assert usual.post("/v1/alpha", files=photo).headers["cache-control"] == "no-store"


def test_other_sites_may_not_read_answers(usual, photo):
    origin = {"Origin": "https://evil.example"}
    for answer in (
        usual.post("/v1/alpha", files=photo, headers=origin),
        usual.http.get("/v1/info", headers=origin),
        usual.http.options("/v1/alpha", headers={**origin, "Access-Control-Request-Method": "POST"}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_site_that_was_allowed_may_use_the_api(photo):
    backend = Brightness()
    backend.free.set()
    with hosted(create_app(partial(predictor_of, backend, 10_000), origins=["https://good.example"])) as port:
        for origin, allowed in (("https://good.example", True), ("https://evil.example", False)):
            url = f"http://127.0.0.1:{port}/v1/alpha"
            answer = httpx.post(url, files=photo, headers={"Origin": origin}, timeout=30)
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
            assert "access-control-allow-credentials" not in answer.headers


def test_metrics_have_a_port_of_their_own(usual):
    assert usual.http.get("/metrics").status_code == 404
    port = usual.app.state.meters.serve("127.0.0.1", 0)
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert "jointmat_kept_photos" in text


def test_requests_are_logged_without_the_names_of_photos(usual, photo, caplog):
    with caplog.at_level("INFO", "jointmat.requests"):
        kept = usual.post("/v1/photos", files=photo).json()
        usual.http.get(kept["alpha"])
        until(lambda: "/v1/photos/{id}/{plane} 200" in caplog.text)
    assert kept["id"] not in caplog.text


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:8000", "", "127.0.0.1.nip"]
)
def test_host_names_that_are_not_served_are_refused(usual, host):
    refused(usual.http.get("/v1/info", headers={"Host": host}), 400, "host", "--allow-host")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9", "192.168.1.7:8000", "[::1]:8000", "Matte.Example.org"]
)
def test_addresses_and_names_that_were_allowed_are_served(usual, host):
    assert usual.http.get("/v1/info", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/page/../../app.py",
        "/page/..%2f..%2fapp.py",
        "/page/%2e%2e/%2e%2e/app.py",
        "/docs/..%2f..%2fapp.py",
        "/page//etc/passwd",
        "/page/%00",
        "/v1/backgrounds/..%2f..%2fpyproject.toml",
        "/v1/backgrounds/%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out_of_the_page(usual, path):
    # As it is: httpx would resolve the dots.
    url = httpx.URL(f"http://127.0.0.1:{usual.port}").copy_with(raw_path=path.encode())
    answer = usual.http.send(usual.http.build_request("GET", url))
    refused(answer, 404)


def test_other_methods_are_refused(usual):
    answer = usual.http.delete("/v1/alpha")
    refused(answer, 405, "DELETE /v1/alpha")
    assert answer.headers["allow"] == "POST"
