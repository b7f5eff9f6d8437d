import io
import pickle

import numpy as np
import pytest
from PIL import Image

from jointmat.compositing import parse_color
from jointmat.errors import InputError, InputTypeError
from jointmat.matte import Matte


@pytest.fixture
def matte(rng):
    image = rng.integers(0, 256, (40, 30, 3), np.uint8)
    alpha = np.zeros((40, 30), np.float32)
    alpha[10:30], alpha[9] = 1, 0.5
    return Matte(image, alpha, np.rint(alpha * 255).astype(np.uint8), alpha)


def test_cutout_rounds_alpha_and_keeps_what_is_opaque(matte):
    cutout = matte.cutout()
    assert cutout.shape == (40, 30, 4) and cutout.dtype == np.uint8
    assert (cutout[9, :, 3] == 128).all()  # 127.5 rounds to even
    inside = cutout[12:28, :, :3].astype(int)
    assert np.abs(inside - matte.image[12:28]).max() <= 1


@pytest.mark.parametrize("background", ["#1e90ff", "#19f", (30, 144, 255), "30, 144,255", "DodgerBlue"])
def test_composite_on_a_colour(matte, background):
    expected = parse_color(background) if isinstance(background, str) else background
    image = matte.composite(background)
    assert image.dtype == np.uint8 and (image[:9] == expected).all() and (image[30:] == expected).all()
    assert np.abs(image[12:28].astype(int) - matte.image[12:28]).max() <= 1


@pytest.mark.parametrize("size", [(40, 300), (300, 30), (7, 5)])
def test_a_background_image_covers_and_is_cropped_at_the_middle(matte, size):
    background = np.full((*size, 3), 50, np.uint8)
    background[size[0] // 2 - 1 : size[0] // 2 + 2, size[1] // 2 - 1 : size[1] // 2 + 2] = 200
    empty = Matte(matte.image, np.zeros_like(matte.alpha), matte.trimap, matte.mask)
    image = empty.composite(background)
    assert image.shape == (40, 30, 3)
    y, x = np.nonzero(image[..., 0] > 120)  # the mark at the middle is at the middle
    assert abs(y.mean() - 20) <= 1.5 and abs(x.mean() - 15) <= 1.5


@pytest.mark.parametrize("colour", [(0.9, 0.5, 0.2), ("a", 1, 2), (1, 2), [1, 2, 300], (-1, 0, 0)])
def test_levels_that_are_none_are_refused(matte, colour):
    with pytest.raises(InputError, match=r"expected \(r, g, b\), whole numbers of 0 to 255"):
        matte.composite(colour)


def test_a_list_and_numpys_numbers_are_a_colour_too(matte):
    expected = matte.composite((10, 20, 30))
    for colour in ([10, 20, 30], tuple(np.array([10, 20, 30], np.uint8))):
        np.testing.assert_array_equal(matte.composite(colour), expected)


def test_a_copy_with_another_photo_has_its_own_foreground(matte):
    matte.foreground()
    white = np.full_like(matte.image, 255)
    assert (Matte(white, matte.alpha, matte.trimap, matte.mask).foreground() == 255).all()


@pytest.mark.parametrize("text", ["#12", "#gggggg", "blue-ish", "#1234567", "#1 2 3 ", "#ff ff ff", "1e90ff"])
def test_a_colour_that_is_none_is_refused(text):
    with pytest.raises(InputError, match=r"expected #rrggbb .* a CSS name such as white"):
        parse_color(text)


@pytest.mark.parametrize("background", [(0, 0), (0, 0, 256), (-1, 0, 0)])
def test_levels_that_are_no_colour_are_refused(matte, background):
    with pytest.raises(InputError, match="of 0 to 255"):
        matte.composite(background)


@pytest.mark.parametrize(("photo", "background"), [((5000, 1), (1, 20000)), ((1, 5000), (20000, 1))])
def test_a_strip_behind_a_strip_of_the_other_direction(photo, background):
    """Scaled first to cover the photo, it would take 5,000 × 100,000,000 pixels."""
    plane = np.zeros(photo, np.float32)
    strip = Matte(np.zeros((*photo, 3), np.uint8), plane, plane.astype(np.uint8), plane)
    image = strip.composite(np.full((*background, 3), 77, np.uint8))
    assert image.shape == (*photo, 3) and (image == 77).all()


@pytest.mark.parametrize("extension", ["png", "webp", "tif"])
def test_saved_cutout_reads_back(matte, tmp_path, extension):
    path = tmp_path / f"cutout.{extension}"
    matte.save(path)
    np.testing.assert_array_equal(np.asarray(Image.open(path))[..., 3], matte.cutout()[..., 3])


def test_a_format_without_transparency_is_refused(matte, tmp_path):
    asked = []
    unmade = Matte(matte.image, lambda: asked.append(1) or matte.alpha, matte.trimap, matte.mask)
    for name, why in (("cutout.jpg", "JPEG has no alpha: use .png"), ("cutout.txt", "got the format 'txt'")):
        with pytest.raises(InputError, match=why):
            unmade.save(tmp_path / name)
    assert not asked and not list(tmp_path.iterdir())


def test_a_plane_given_as_a_function_is_made_once_and_only_when_asked_for(matte):
    calls = []

    def plane():
        calls.append(1)
        return matte.mask + 0

    late = Matte(matte.image, matte.alpha, matte.trimap, plane)
    late.cutout()
    assert not calls
    assert late.mask is late.mask and len(calls) == 1
    np.testing.assert_array_equal(late.mask, matte.mask)


def test_a_matte_cannot_be_made_without_its_planes(matte):
    with pytest.raises(TypeError, match="trimap"):
        Matte(matte.image, matte.alpha)


def test_a_name_that_is_neither_a_colour_nor_a_file(matte, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="whitte: no such file or colour"):
        matte.composite("whitte")
    Image.new("RGB", (30, 40), "red").save(tmp_path / "white", "png")
    assert (matte.composite("white")[0, 0] == 255).all()
    assert (matte.composite("./white")[0, 0] == (255, 0, 0)).all()


def test_what_it_says_of_itself(matte):
    assert repr(matte) == "Matte(30×40, 51% subject)"
    assert matte.coverage == pytest.approx(20.5 / 40) and not matte.is_empty
    nobody = Matte(matte.image, np.full((40, 30), 0.5, np.float32), matte.trimap, matte.mask)
    assert nobody.is_empty


def test_a_notebook_shows_a_checkerboard(matte):
    shown = np.asarray(Image.open(io.BytesIO(matte._repr_png_())))
    assert set(np.unique(shown[:8])) == {204, 255}
    large = Matte(
        *(np.repeat(np.repeat(x, 40, 0), 40, 1) for x in (matte.image, matte.alpha, matte.trimap, matte.mask))
    )
    assert Image.open(io.BytesIO(large._repr_png_())).size == (384, 512)


def test_a_crop_is_the_part_around_the_subject(matte):
    matte.alpha[:, :5] = matte.alpha[:, 25:] = 0.01  # a haze that nobody sees
    part = matte.crop(margin=2)
    rows, columns = slice(7, 32), slice(3, 27)
    for name in ("image", "alpha", "trimap", "mask"):
        np.testing.assert_array_equal(getattr(part, name), getattr(matte, name)[rows, columns])
    np.testing.assert_array_equal(part.cutout(), matte.cutout()[rows, columns])
    assert matte.crop(1000).alpha.shape == (40, 30)
    nobody = Matte(matte.image, np.zeros_like(matte.alpha), matte.trimap, matte.mask)
    assert nobody.crop() is nobody
    with pytest.raises(InputError, match="margin=-1"):
        matte.crop(-1)


def test_the_edge_moves_and_softens(matte):
    areas = [float((matte.adjust_edge(shift=n).alpha > 0.9).sum()) for n in (-3, 0, 3)]
    assert areas == [30 * 14, 30 * 20, 30 * 26]
    soft = matte.adjust_edge(feather=4).alpha
    assert ((soft > 0.02) & (soft < 0.98)).sum() > 4 * ((matte.alpha > 0.02) & (matte.alpha < 0.98)).sum()
    with pytest.raises(InputError, match="feather=-1"):
        matte.adjust_edge(feather=-1)


def test_files_and_pillow_images(matte, tmp_path):
    np.testing.assert_array_equal(np.asarray(matte.to_pil()), matte.cutout())
    stream = io.BytesIO()
    matte.save(stream)
    np.testing.assert_array_equal(np.asarray(Image.open(stream)), matte.cutout())
    matte.save(tmp_path / "no extension", format="webp")
    assert Image.open(tmp_path / "no extension").format == "WEBP"
    matte.save_alpha(tmp_path / "alpha.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "alpha.png")), matte.cutout()[..., 3])
    with pytest.raises(InputError, match="JPEG has no alpha"):
        matte.save(stream, format="jpg")
    matte.save_alpha(stream, format="jpg")


def test_the_matte_of_everything_else(matte):
    other = pickle.loads(pickle.dumps(matte.inverted()))
    np.testing.assert_array_equal(other.alpha, 1 - matte.alpha)
    np.testing.assert_array_equal(other.mask, 1 - matte.mask)
    assert [int(matte.trimap[y, 0]) for y in (0, 9, 20)] == [0, 128, 255]
    assert [int(other.trimap[y, 0]) for y in (0, 9, 20)] == [255, 128, 0] and other.trimap.dtype == np.uint8


def test_nothing_becomes_more_opaque_than_it_was(matte):
    opacity = np.full((40, 30), 255, np.uint8)
    opacity[:, :10], opacity[:, 10:20] = 0, 102
    less = pickle.loads(pickle.dumps(matte.capped(opacity)))
    np.testing.assert_allclose(less.alpha[20, [5, 15, 25]], [0, 0.4, 1])
    assert (less.alpha <= matte.alpha).all()


def test_a_background_of_opencv(matte):
    behind = np.full((40, 30, 3), (10, 20, 30), np.uint8)
    np.testing.assert_array_equal(matte.composite(behind, color="bgr"), matte.composite(behind[..., ::-1]))
    with pytest.raises(InputTypeError, match=r"None.*cv2\.imread"):
        matte.composite(None)
