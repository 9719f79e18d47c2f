"""Image figures and sheets, by reading their pixels back."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from artifex import visualization


def pixels_of(figure):
    """RGB pixels of a figure as it would be saved."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


@pytest.fixture
def levels(rng=None):
    """Twelve grey images of 4 x 5 pixels with all 256 levels possible."""
    images = np.random.default_rng(0).integers(0, 256, size=(12, 1, 4, 5))
    images[0, 0, 0, 0] = 255
    return images


class TestContactSheet:
    def test_every_image_stands_where_documented(self, levels):
        sheet = visualization.contact_sheet(levels, num_columns=5, scale=3, gap=2)
        assert sheet.shape == (3 * (4 * 3 + 2) - 2, 5 * (5 * 3 + 2) - 2, 1)
        for i, image in enumerate(levels):
            top, left = (i // 5) * (4 * 3 + 2), (i % 5) * (5 * 3 + 2)
            block = sheet[top : top + 12, left : left + 15, 0]
            np.testing.assert_array_equal(block, np.kron(image[0], np.ones((3, 3), int)))
        assert (sheet[:, 15:17] == 255).all()

    @pytest.mark.parametrize(
        ("images", "expected"),
        [
            (np.array([0, 1]), [0, 255]),
            (np.array([0, 16, 8], np.uint8), [0, 255, 128]),
            (np.array([0, 17, 255], np.uint8), [0, 17, 255]),
            (np.array([0.0, 0.2, 1.0], np.float32), [0, 51, 255]),
            (np.array([True, False]), [255, 0]),
            (jnp.array([0.0, 1.0], jnp.bfloat16), [0, 255]),
            (np.array([0.0, 1.004]), [0, 255]),
        ],
    )
    def test_white_follows_from_the_type_and_the_values(self, images, expected):
        sheet = visualization.contact_sheet(images.reshape(1, 1, -1), scale=1)
        assert sheet[0, :, 0].tolist() == expected

    def test_max_value_sets_white(self):
        sheet = visualization.contact_sheet(np.array([[[0, 2, 4]]]), max_value=4, scale=1)
        assert sheet[0, :, 0].tolist() == [0, 128, 255]

    def test_sheet_is_nearly_square(self):
        assert visualization.contact_sheet(np.zeros((10, 2, 2)), scale=1, gap=0).shape == (6, 8, 1)

    @pytest.mark.parametrize(
        ("images", "match"),
        [
            (np.zeros((8, 8)), r"got \(8, 8\). Add a batch axis"),
            (np.zeros((2, 8, 8, 3)), "Channels come first"),
            (np.zeros((2, 2, 8, 8)), "1 or 3 channels"),
            (np.zeros((0, 1, 8, 8)), "no images"),
            (np.full((1, 2, 2), 1.5), r"must lie in \[0, 1\]; got 1.5 to 1.5. Decode"),
            (np.full((1, 2, 2), -1), r"must lie in \[0, 1\]"),
            (np.full((1, 2, 2), 256), r"must lie in \[0, 255\]"),
            (np.full((1, 2, 2), np.nan), "got nan"),
        ],
    )
    def test_wrong_images_are_refused(self, images, match):
        with pytest.raises(ValueError, match=match):
            visualization.contact_sheet(images)

    def test_wrong_options_are_refused(self, levels):
        with pytest.raises(ValueError, match="`scale`"):
            visualization.contact_sheet(levels, scale=0)
        with pytest.raises(ValueError, match="`num_columns`"):
            visualization.contact_sheet(levels, num_columns=0)
        with pytest.raises(ValueError, match="`max_value`"):
            visualization.contact_sheet(levels, max_value=0)


class TestSaveImages:
    def test_grey_and_colour_come_back_exactly(self, tmp_path, levels):
        colour = np.random.default_rng(1).integers(0, 256, size=(3, 3, 4, 5))
        colour[0, 0, 0, 0] = 255
        for images, mode in ((levels, "L"), (colour, "RGB")):
            path = tmp_path / f"{mode}.png"
            visualization.save_images(path, images, num_columns=1, scale=1, gap=0)
            picture = Image.open(path)
            assert picture.mode == mode
            read = np.asarray(picture).reshape(len(images), 4, 5, -1)
            np.testing.assert_array_equal(read, np.moveaxis(images, 1, -1))

    def test_wrong_images_leave_no_file(self, tmp_path):
        with pytest.raises(ValueError, match="shape"):
            visualization.save_images(tmp_path / "a.png", np.zeros((8, 8)))
        assert not list(tmp_path.iterdir())


class TestFigures:
    def test_grid_is_the_sheet_pixel_by_pixel(self, levels):
        figure = visualization.image_grid(levels, num_columns=4, scale=7)
        sheet = visualization.contact_sheet(levels, num_columns=4, scale=7)
        np.testing.assert_array_equal(pixels_of(figure), np.broadcast_to(sheet, (*sheet.shape[:2], 3)))

    def test_colour_grid(self):
        images = np.zeros((2, 3, 4, 4))
        images[0, 0], images[1, 2] = 1.0, 0.2
        shown = pixels_of(visualization.image_grid(images, scale=5))
        assert shown[10, 10].tolist() == [255, 0, 0]
        assert shown[10, 32].tolist() == [0, 0, 51]

    def test_titles_stand_above_unchanged_images(self, levels):
        shown = pixels_of(visualization.image_grid(levels, num_columns=4, scale=6, titles=range(12)))
        room = 18  # three rows of six pixels
        assert shown.shape[0] == 3 * (4 * 6 + room + 2) - 2
        first = shown[room : room + 24, :30, 0]
        np.testing.assert_array_equal(first, np.kron(levels[0, 0], np.ones((6, 6), int)))
        assert (shown[:room, :30] < 128).any()  # the ink of the title
        with pytest.raises(ValueError, match="`titles` needs one entry for each of the 12 images; got 2"):
            visualization.image_grid(levels, titles=["a", "b"])

    def test_reconstructions_stand_below_their_originals(self, levels):
        model = 255 - levels
        shown = pixels_of(visualization.reconstructions(levels, model, num_columns=5, scale=2))
        left, cell = 90, (4 * 2 + 2, 5 * 2 + 2)
        for i in (0, 4, 5, 11):
            top, column = 2 * (i // 5) * cell[0], left + (i % 5) * cell[1]
            for offset, images in ((0, levels), (cell[0], model)):
                block = shown[top + offset : top + offset + 8, column : column + 10, 0]
                np.testing.assert_array_equal(block, np.kron(images[i, 0], np.ones((2, 2), int)))
        with pytest.raises(ValueError, match="same shape"):
            visualization.reconstructions(levels, model[:3])

    def test_traversal_rows_are_dimensions(self, levels):
        table = levels.reshape(3, 4, 1, 4, 5)
        shown = pixels_of(visualization.traversal(table, scale=4))
        block = shown[2 * 18 : 2 * 18 + 16, 90 + 22 : 90 + 42, 0]
        np.testing.assert_array_equal(block, np.kron(levels[9, 0], np.ones((4, 4), int)))
        assert (shown[:16, :90] < 128).any()  # the label of the row
        with pytest.raises(ValueError, match="rows, columns"):
            visualization.traversal(levels[0])
        with pytest.raises(ValueError, match="`row_labels`"):
            visualization.traversal(table, row_labels=["only one"])

    def test_figures_show_in_notebooks_and_leave_nothing_in_pyplot(self, tmp_path, levels):
        from matplotlib import pyplot

        figures = [visualization.image_grid(levels[:2]) for _ in range(25)]  # pyplot warns at 20
        assert pyplot.get_fignums() == []
        path = tmp_path / "shown.png"
        path.write_bytes(figures[0]._repr_png_())
        np.testing.assert_array_equal(np.asarray(Image.open(path).convert("RGB")), pixels_of(figures[0]))

    def test_save_figure_is_pixel_exact_and_atomic(self, tmp_path, levels):
        figure = visualization.image_grid(levels)
        visualization.save_figure(tmp_path / "deep" / "grid.png", figure)
        read = np.asarray(Image.open(tmp_path / "deep" / "grid.png").convert("RGB"))
        np.testing.assert_array_equal(read, pixels_of(figure))
        with pytest.raises(ValueError, match="nothing"):
            visualization.save_figure(tmp_path / "grid.nothing", figure)
        assert [item.name for item in tmp_path.iterdir()] == ["deep"]


def test_the_package_loads_matplotlib_only_when_used():
    code = (
        "import sys, artifex.visualization as v; assert 'matplotlib' not in sys.modules; v.image_grid; "
        + ("assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules")
    )
    subprocess.run([sys.executable, "-c", code], check=True)
