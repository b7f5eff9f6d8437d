import numpy as np
from PIL import Image

from jointmat.evaluation.sheet import error_image, save_sheet


def test_images_and_planes_share_a_sheet(tmp_path):
    image = np.full((20, 30, 3), 200, np.uint8)
    save_sheet(tmp_path / "sheet.png", [[image, np.zeros((20, 30))], [image]], height=40)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (88, 124, 3)  # 40 high and 60 wide each, with gaps of 4
    assert (sheet[5, 5] == 200).all() and (sheet[5, 70] == 0).all() and (sheet[50, 100] == 255).all()


def test_too_much_is_red_and_too_little_blue():
    truth = np.array([[0.0, 1.0, 0.0]])
    red, blue, none = error_image(np.array([[1.0, 0.0, 0.0]]), truth)[0]
    assert red.argmax() == 0 and blue.argmax() == 2 and (none == 255).all()


def test_captions_stand_above_the_images_of_the_first_rows(tmp_path):
    image = np.full((20, 30, 3), 200, np.uint8)
    save_sheet(tmp_path / "sheet.png", [[image, image], [image]], height=40, captions=[["one", ""]])
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (108, 124, 3)  # the first row is 20 higher
    assert (sheet[:20, :60] < 128).any() and (sheet[:20, 64:] == 255).all()
    assert (sheet[25, 5] == 200).all()
