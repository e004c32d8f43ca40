"""A path is told to lie where the kernel's list says, and SQLite is kept off the network."""

import psutil
import pytest

from scmmlab.errors import StoreError
from scmmlab.tracking.mounts import Mount, mount_of, refuse_sqlite_over_network, sqlite_file
from scmmlab.tracking.uris import shown_uri

LISTING = r"""/dev/sda1 / ext4 rw,relatime 0 0
tmpfs /data tmpfs rw 0 0
server:/home /data/home nfs rw 0 0
//nas/lab /data/two\040words cifs rw 0 0
/dev/sdb1 /data/home/local xfs rw 0 0
/dev/sdc1 /data/hidden ext4 rw 0 0
server:/x /data/hidden nfs4 rw 0 0
me@host:/ /mnt/far fuse.sshfs rw 0 0
"""


@pytest.fixture
def listing(tmp_path, monkeypatch):
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mounts").write_text(LISTING)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))


@pytest.mark.parametrize(
    ("path", "point", "kind", "over_network"),
    [
        ("/somewhere", "/", "ext4", False),
        ("/data/homeless/x", "/data", "tmpfs", False),
        ("/data/home", "/data/home", "nfs", True),
        ("/data/home/jane/runs", "/data/home", "nfs", True),
        ("/data/home/local/runs", "/data/home/local", "xfs", False),
        ("/data/two words/runs", "/data/two words", "cifs", True),
        ("/data/hidden/x", "/data/hidden", "nfs4", True),
        ("/mnt/far/../far/x", "/mnt/far", "fuse.sshfs", True),
    ],
)
def test_the_innermost_and_latest_mount_is_the_one(listing, path, point, kind, over_network):
    assert mount_of(path) == Mount(point, kind)
    assert mount_of(path).over_network is over_network


def test_a_database_on_the_network_is_refused_and_servers_are_not(listing):
    with pytest.raises(StoreError, match=r"'/data/home/mlflow.db' must not lie .* nfs \(mounted on /data/home\)"):
        refuse_sqlite_over_network("sqlite:////data/home/mlflow.db")
    refuse_sqlite_over_network("sqlite:////data/mlflow.db")
    refuse_sqlite_over_network("http://host:5000")
    refuse_sqlite_over_network("postgresql+psycopg2://me:secret@host/data/home/mlflow")


def test_where_the_mounts_cannot_be_listed_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    assert mount_of("/data/home") is None
    refuse_sqlite_over_network("sqlite:////data/home/mlflow.db")


def test_this_machine_says_where_its_own_folders_lie(tmp_path):
    mount = mount_of(tmp_path)
    assert mount is not None
    assert str(tmp_path).startswith(mount.point)


def test_the_file_of_a_database_is_read_from_its_address():
    assert str(sqlite_file("sqlite:////a/b.db?timeout=3")) == "/a/b.db"
    assert sqlite_file("postgresql://host/a") is None


def test_a_password_is_not_shown_wherever_it_stands():
    assert shown_uri("postgresql+psycopg2://me:s3:cret@host:5432/x") == "postgresql+psycopg2://me:***@host:5432/x"
    assert shown_uri("http://host:5000") == "http://host:5000"
    assert shown_uri("mysql://host/db?user=me&password=s3cret&x=1") == "mysql://host/db?user=me&password=***&x=1"
    assert (
        shown_uri("no answer from http://me:s3cret@host/api: refused")
        == "no answer from http://me:***@host/api: refused"
    )
