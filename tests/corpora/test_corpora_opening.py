"""Nothing outside a corpus's folder is opened."""

import pytest

from scmmlab.corpora import open_below
from scmmlab.errors import CorpusError


@pytest.fixture
def root(tmp_path):
    (tmp_path / "corpus" / "part").mkdir(parents=True)
    (tmp_path / "corpus" / "part" / "file").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    return tmp_path / "corpus"


def test_what_lies_below_is_given_back_without_links(root):
    (root / "link").symlink_to("part")
    assert open_below(root, "link", "file").read_text() == "inside"
    assert open_below(root, "link/file") == (root / "part" / "file").resolve()


def test_a_root_that_is_a_link_itself_is_followed(root):
    (root.parent / "alias").symlink_to(root)
    assert open_below(root.parent / "alias", "part", "file").read_text() == "inside"


@pytest.mark.parametrize("parts", [("..", "secret"), ("part/../../secret",), ("/etc/passwd",)])
def test_a_path_that_leaves_the_root_is_refused(root, parts):
    with pytest.raises(CorpusError, match=r"lies outside the corpus: expected a path below .*, found "):
        open_below(root, *parts)


def test_a_link_that_leaves_the_root_is_refused(root):
    (root / "link").symlink_to(root.parent / "secret")
    with pytest.raises(CorpusError, match=r"link' lies outside the corpus.*found '.*secret'"):
        open_below(root, "link")


def test_links_in_a_circle_are_refused(root):
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(CorpusError, match="links that go round in a circle"):
        open_below(root, "a")


@pytest.mark.parametrize("target", [".git/annex/objects/a/b", "../.git/annex/objects/a/b"])
def test_a_link_of_git_annex_without_its_content_says_how_to_fetch_it(root, target):
    (root / "file").symlink_to(target)
    with pytest.raises(CorpusError, match=r"file' was not fetched: expected the file, found .* git-annex") as error:
        open_below(root, "file")
    assert "datalad get 'file'" in error.value.hint
    content = root / target
    content.parent.mkdir(parents=True)
    content.write_text("fetched")
    if ".." in target:
        with pytest.raises(CorpusError, match="lies outside the corpus"):
            open_below(root, "file")
    else:
        assert open_below(root, "file").read_text() == "fetched"


def test_a_pointer_in_the_place_of_a_file_says_how_to_fetch_it(root):
    for text, remedy in (
        ("/annex/objects/MD5-s1--0", "datalad get"),
        ("version https://git-lfs.github.com/spec/v1", "lfs"),
    ):
        (root / "file").write_text(text)
        with pytest.raises(CorpusError, match=r"file' was not fetched") as error:
            open_below(root, "file")
        assert remedy in error.value.hint
