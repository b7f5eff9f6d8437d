import pytest

Figure = pytest.importorskip("matplotlib.figure").Figure

from jointmat.evaluation.plot import save_plot


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_the_extension_is_the_format(tmp_path, name, start):
    figure = Figure()
    figure.subplots().plot([1, 2])
    save_plot(tmp_path / name, figure)
    assert (tmp_path / name).read_bytes().startswith(start)
