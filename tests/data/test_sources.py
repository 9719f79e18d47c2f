"""Files: what is read is what was written; what is damaged or missing is named."""

import gzip
import struct

import numpy as np
import pytest

from artifex.data.sources import ImageFolder, find_data, read_idx, read_npz, read_table


def idx_bytes(array, code):
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize(
    ("dtype", "code"), [("u1", 0x08), ("i2", 0x0B), ("i4", 0x0C), ("f4", 0x0D), ("f8", 0x0E)]
)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_round_trip(tmp_path, dtype, code, packed):
    array = (np.arange(24).reshape(2, 3, 4) * 7).astype(dtype)
    content = idx_bytes(array, code)
    path = tmp_path / "data.idx"
    path.write_bytes(gzip.compress(content) if packed else content)
    np.testing.assert_array_equal(read_idx(path), array, strict=True)


def test_damaged_idx(tmp_path):
    """Each damage is told apart, and the file is named."""
    good = idx_bytes(np.arange(12, dtype="u1").reshape(3, 4), 0x08)
    cases = {
        "cut short: shape .* takes 12 bytes.*got 9": good[:-3],
        "cut short: it ends inside its header": good[:6],
        "too many bytes": good + b"\0",
        "no IDX file: it begins with 50 4b": b"PK\3\4",
        "no IDX file: it begins with nothing": b"",
        "damaged gzip": gzip.compress(good)[:-9],
        "no IDX file": b"\0\0\x07\1" + good[4:],
    }
    for message, content in cases.items():
        path = tmp_path / "broken-idx3-ubyte"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            read_idx(path)
        assert str(path) in str(caught.value)


def test_npz(tmp_path):
    path = tmp_path / "pictures.npz"
    np.savez(path, images=np.arange(3), labels=np.ones(3))
    assert list(read_npz(path, ["labels"])) == ["labels"]
    with pytest.raises(LookupError, match=r"unknown array 'image'. Did you mean 'images'\?"):
        read_npz(path, ["image"])


def test_npz_never_unpickles(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, images=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match=r"objects\.npz cannot be read"):
        read_npz(path, ["images"])


def test_damaged_npz(tmp_path):
    path = tmp_path / "half.npz"
    np.savez(path, images=np.arange(1000))
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"text", b"", b"PK\3\4"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"half\.npz cannot be read"):
            read_npz(path, ["images"])
    np.save(tmp_path / "one.npy", np.arange(3))
    with pytest.raises(ValueError, match="not an npz archive"):
        read_npz(tmp_path / "one.npy", ["images"])


def test_missing_file_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARTIFEX_DATA_DIR", raising=False)
    with pytest.raises(
        FileNotFoundError, match=r"'mnist.npz'; looked at .*; set the environment variable ARTIFEX"
    ):
        find_data("mnist.npz")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.setenv("ARTIFEX_DATA_DIR", str(folder))
    with pytest.raises(FileNotFoundError, match=r"elsewhere/mnist.npz; put it there"):
        find_data("mnist.npz")
    (folder / "mnist.npz").touch()
    assert find_data("mnist.npz") == folder / "mnist.npz"
    (tmp_path / "mnist.npz").touch()
    assert find_data("mnist.npz") == tmp_path / "mnist.npz"
    with pytest.raises(FileNotFoundError, match=r"no folder .*; check the path"):
        find_data(tmp_path / "nothing", what="folder")


def save_picture(path, pixels):
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two classes, three colour pictures of 6x6 and one grey of another size."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3)).astype(np.uint8)
    save_picture(tmp_path / "cat" / "0.png", pixels[0])
    save_picture(tmp_path / "cat" / "1.png", pixels[1])
    save_picture(tmp_path / "ant" / "0.png", pixels[2])
    save_picture(tmp_path / "ant" / "1.PNG", np.tile(np.arange(12, dtype=np.uint8) * 20, (6, 1)))
    return tmp_path, pixels


def test_image_folder(folder):
    """Classes in the order of names; pictures of the right size are not changed by a bit."""
    path, pixels = folder
    source = ImageFolder(path, image_size=6, with_labels=True)
    assert source.class_names == ("ant", "cat")
    rows = source.rows(np.array([0, 2, 3]))
    np.testing.assert_array_equal(rows["x"], pixels[[2, 0, 1]].transpose(0, 3, 1, 2), strict=True)
    np.testing.assert_array_equal(rows["condition"], [0, 1, 1])


def test_pictures_are_cut_in_the_centre(folder):
    """A 6x12 picture at size 6: nothing is scaled, columns 3 to 8 remain; grey becomes colour and back."""
    source = ImageFolder(folder[0], image_size=6, channels=1)
    expected = np.tile(np.arange(3, 9, dtype=np.uint8) * 20, (6, 1))
    np.testing.assert_array_equal(source.rows(np.array([1]))["x"], expected[None, None])
    assert ImageFolder(folder[0], image_size=4).rows(np.array([1]))["x"].shape == (1, 3, 4, 4)
    assert ImageFolder(folder[0], image_size=9).rows(np.array([1]))["x"].shape == (1, 3, 9, 9)


def test_corrupt_picture_is_named(folder):
    path, _ = folder
    broken = path / "cat" / "0.png"
    for content in (broken.read_bytes()[:60], b"no picture", b""):
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=r"cat/0\.png cannot be read as a picture.*Repair or remove"):
            ImageFolder(path, image_size=6).rows(np.arange(4))


def test_folder_without_pictures(tmp_path):
    with pytest.raises(ValueError, match="holds no pictures"):
        ImageFolder(tmp_path, image_size=4)
    save_picture(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    assert len(ImageFolder(tmp_path, image_size=4)) == 1
    with pytest.raises(ValueError, match="no sub-folders"):
        ImageFolder(tmp_path, image_size=4, with_labels=True)
    save_picture(tmp_path / "b" / "a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"beside the folders of classes \(a\.png\)"):
        ImageFolder(tmp_path, image_size=4)


def test_table(tmp_path):
    """Columns by name and by number, plain and gzipped; each damage says what to do."""
    path = tmp_path / "rows.csv"
    path.write_text('"a", b,word,c\n1,2,x,3.5\n-4,5e-1,y,6\n')
    names, values = read_table(path, columns=("c", "a"))
    assert names == ("c", "a")
    np.testing.assert_array_equal(values, [[3.5, 1.0], [6.0, -4.0]])
    packed = tmp_path / "rows.txt.gz"
    packed.write_bytes(gzip.compress(b"1;2\n3;4\n5;6\n"))
    names, values = read_table(packed, header=False, delimiter=";")
    assert names == ("0", "1")
    np.testing.assert_array_equal(values, [[1, 2], [3, 4], [5, 6]])
    _, values = read_table(packed, header=False, delimiter=";", columns=(1,))
    np.testing.assert_array_equal(values, [[2], [4], [6]])
    with pytest.raises(ValueError, match=r"rows\.csv cannot be read.*leave columns of words out"):
        read_table(path)
    with pytest.raises(LookupError, match=r"rows\.csv.*column.*'wort'.*'word'"):
        read_table(path, columns=("wort",))
    with pytest.raises(LookupError, match="numbered from 0 to 1; got 2"):
        read_table(packed, header=False, delimiter=";", columns=(2,))
    for content, message in (
        (b"", "no first line"),
        (b"a,b\n", "has no rows"),
        (b"a,b\n1,2\n3\n", "cannot be read"),
        (b"a,b\n1,\n", "cannot be read"),
        (gzip.compress(b"a\n1\n" * 1000)[:-12], "cannot be read"),
    ):
        broken = tmp_path / ("broken.csv.gz" if content[:2] == b"\x1f\x8b" else "broken.csv")
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_table(broken)
