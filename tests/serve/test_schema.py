"""Requests made up from the specification: none fails, and every answer is one that the specification names."""

from functools import partial

import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs jointmat[serve]")
schemathesis = pytest.importorskip("schemathesis", reason="needs jointmat[test]")

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import checks

from jointmat.serve.app import create_app
from jointmat.serve.limits import Limits
from tests.serve.conftest import Brightness, encoded, predictor_of
from tests.serve.host import hosted

_IMAGE = encoded(np.full((8, 12, 3), 130, np.uint8))
_FILES = {"image", "background_image", "trimap", "image_file", "bg_image_file"}
_RIVALS = {"image_file": "image_file_b64", "bg_image_file": "bg_color", "background_image": "background"}
schemathesis.openapi.media_type(
    "application/octet-stream", st.sampled_from([_IMAGE, _IMAGE[:40], b"", b"GIF89a"])
)


@pytest.fixture(scope="module")
def specification():
    backend = Brightness()
    backend.free.set()
    limits = Limits(body_bytes=5000)
    app = create_app(partial(predictor_of, backend, 10_000), limits, hosts=["*"])
    with hosted(app) as port:
        # Made when it is first asked for, which may take longer than schemathesis waits.
        httpx.get(f"http://127.0.0.1:{port}/openapi.json", timeout=120)
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")


OPERATIONS = [
    *(("POST", f"/v1/{name}") for name in ("alpha", "trimap", "cutout", "composite")),
    *(("GET", path) for path in ("/v1/info", "/v1/backgrounds/{name}", "/healthz")),
    *(("POST", path) for path in ("/v1/photos", "/v1/photos/{id}/corrections", "/v1.0/removebg")),
    *(("GET", path) for path in ("/v1/photos/{id}", "/v1/photos/{id}/{plane}")),
    ("DELETE", "/v1/photos/{id}"),
]


def test_no_operation_is_left_out(specification):
    found = [result.ok() for result in specification.get_all_operations()]
    assert sorted((operation.method.upper(), operation.path) for operation in found) == sorted(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_specified(specification, method, path):
    statuses = set()

    # Bytes made up from a specification are never an image, so some real ones are put in their place.
    @given(
        case=specification[path][method].as_strategy(),
        file=st.sampled_from([None, _IMAGE, _IMAGE, _IMAGE[:40]]),
    )
    @settings(
        max_examples=40,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers(case, file):
        if file and isinstance(case.body, dict):
            rivals = {_RIVALS[name] for name in case.body.keys() & _RIVALS}  # of which only one may be sent
            files = dict.fromkeys(case.body.keys() & _FILES, file)
            case.body = {name: value for name, value in {**case.body, **files}.items() if name not in rivals}
        response = case.call_and_validate(
            checks=[
                checks.not_a_server_error,
                checks.status_code_conformance,
                checks.content_type_conformance,
                checks.response_schema_conformance,
            ]
        )
        statuses.add(response.status_code)

    answers()
    assert statuses & {200, 201} or "{" in path
    assert statuses <= {200, 201, 400, 404, 422}
