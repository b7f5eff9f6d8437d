"""`python -m jointmat.ray` on a cluster of two nodes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from jointmat.errors import InputError
from jointmat.predictor import Predictor

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")
import pyarrow.parquet as pq
from ray.cluster_utils import Cluster

from jointmat.ray.__main__ import job
from jointmat.ray.pieces import RECORDS
from tests.ray.conftest import encoded

ROOT = Path(__file__).parents[2]
NUMBER = 10


@pytest.fixture(scope="module")
def cluster():
    environment = {"PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.second = cluster.add_node(num_cpus=1)
        cluster.connect()
        try:
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def folder(tmp_path):
    """Images that take a while."""
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(NUMBER):
        (folder / f"{i:02}.png").write_bytes(encoded(i, (600, 800)))
    return folder


def run(*arguments):
    return CliRunner().invoke(
        job, [*map(str, arguments), "--piece", "1"], catch_exceptions=False, standalone_mode=False
    )


def wait_for_records(out, number):
    deadline = time.monotonic() + 120
    while len(list((out / RECORDS).glob("*.parquet"))) < number:
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.05)


def check(folder, out, model):
    """Every image once, as one process makes it."""
    rows = pq.read_table(out / RECORDS).to_pylist()
    assert sorted(row["unit"] for row in rows) == sorted(path.name for path in folder.iterdir())
    predictor = Predictor(model)
    for row in rows:
        assert row["error"] is None
        assert np.array_equal(
            np.asarray(Image.open(out / row["result"])), predictor.matte(folder / row["unit"]).cutout()
        )


def test_more_than_there_is_room_for_is_refused(cluster, folder, tmp_path, model):
    for arguments in (["--cpus", 2], ["--processes", 3]):
        with pytest.raises(InputError, match="room for"):
            run(folder, tmp_path / "out", "--model", model, *arguments)
    with pytest.raises(InputError, match="SRC"):
        run(folder, folder / "out", "--model", model)


def test_an_object_store_is_read_and_written(cluster, tmp_path, model):
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    from pyarrow.fs import FileSystem

    server.start()
    try:
        host, port = server.get_host_and_port()
        where = f"?region=us-east-1&scheme=http&endpoint_override={host}:{port}"
        address = "s3://key:secret@bucket/{}" + where
        system, _ = FileSystem.from_uri(f"{address.format('')}&allow_bucket_creation=true")
        system.create_dir("bucket")
        for name, data in {"a.png": encoded(0), "b/c.png": encoded(1), "broken.png": b"no image"}.items():
            with system.open_output_stream(f"bucket/in/{name}") as file:
                file.write(data)
        source, target = address.format("in"), address.format("out")
        with pytest.raises(Exception, match="1 images failed"):
            run(source, target, "--model", model, "--only-alpha")
        with system.open_input_file("bucket/out/b/c.png") as file:
            alpha = np.asarray(Image.open(file))
        assert np.array_equal(alpha, Predictor(model).matte(encoded(1)).cutout()[..., 3])
        assert run(source, target, "--model", model).exit_code == 0  # nothing to do
    finally:
        server.stop()


def test_a_killed_job_goes_on_where_it_was(cluster, folder, tmp_path, model):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "jointmat.ray", folder, out, "--model", model, "--piece", "1", "-q"]
    with subprocess.Popen([*command, "--address", cluster.address], cwd=ROOT, stderr=subprocess.DEVNULL) as first:
        wait_for_records(out, 2)
        os.kill(first.pid, signal.SIGKILL)
    done = {row["result"] for row in pq.read_table(out / RECORDS).to_pylist()}
    assert len(done) < NUMBER
    times = {name: (out / name).stat().st_mtime_ns for name in done}
    run(folder, out, "--model", model)
    check(folder, out, model)
    assert {name: (out / name).stat().st_mtime_ns for name in done} == times


def test_a_node_that_dies_loses_nothing(cluster, folder, tmp_path, model):
    out = tmp_path / "out"
    done = []

    def kill():
        wait_for_records(out, 2)
        done.extend((out / RECORDS).glob("*.parquet"))
        cluster.remove_node(cluster.second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    run(folder, out, "--model", model)
    killer.join()
    assert 2 <= len(done) < NUMBER
    check(folder, out, model)
