"""Raw data in a bucket that locks objects: pushed, locked, kept by everybody, and back after it was removed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc
from s3_servers import CephS3


def dvc(*words: str, cwd: Path) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=cwd, check=True, capture_output=True, timeout=120)


def a_project(tmp_path: Path, emdvc: Emdvc, ceph_s3: CephS3, bucket: str) -> Path:
    project = tmp_path / "project"
    emdvc("init", project)
    dvc("remote", "add", "-q", "-d", "vault", f"s3://{bucket}/data", cwd=project)
    for key, value in ceph_s3.options().items():
        dvc("remote", "modify", "-q", "--local", "vault", key, value, cwd=project)
    emdvc("save", "-m", "an empty project", "--no-push", cwd=project)
    np.save(tmp_path / "scan.npy", np.ones((3, 4, 8, 8), "u2"))
    emdvc("add", tmp_path / "scan.npy", cwd=project)
    emdvc("save", "-m", "first", "--no-push", cwd=project)
    return project


@pytest.mark.server
def test_locked_by_push_left_by_gc_and_brought_back(tmp_path: Path, emdvc: Emdvc, ceph_s3: CephS3) -> None:
    from botocore.exceptions import ClientError

    ceph_s3.make_bucket("vault", ObjectLockEnabledForBucket=True)
    project = a_project(tmp_path, emdvc, ceph_s3, "vault")
    config = project / ".emdvc" / "config.yaml"
    settings = config.read_text()
    config.write_text(f"{settings}remotes:\n  profiles:\n    vault: {{profile: archive, lock_days: 2}}\n")
    emdvc("push", cwd=project)
    client = ceph_s3.client()
    (held,) = client.list_objects_v2(Bucket="vault", Prefix="data/files/md5/")["Contents"]
    version = client.head_object(Bucket="vault", Key=held["Key"])["VersionId"]
    retention = client.get_object_retention(Bucket="vault", Key=held["Key"])["Retention"]
    assert retention["Mode"] == "GOVERNANCE"
    with pytest.raises(ClientError, match=r"AccessDenied|denied"):
        client.delete_object(Bucket="vault", Key=held["Key"], VersionId=version)
    # an archive is never cleaned; and what is locked is left on any other remote, too
    assert "is an archive" in emdvc("gc", "--remote", "vault", cwd=project, status=2).stderr
    config.write_text(settings)
    md5 = (project / "raw" / "scan.npy.dvc").read_text().split("md5: ")[1].split()[0]
    subprocess.run(["git", "reset", "-q", "--hard", "HEAD~1"], cwd=project, check=True)
    subprocess.run(["git", "reflog", "expire", "--expire=now", "--all"], cwd=project, check=True)
    options = ("--fresh-hours", "0", "--keep-days", "0", "--unknown", "--raw", md5, "--reason", "a test", "--yes")
    done = emdvc("gc", "--remote", "vault", *options, cwd=project)
    assert "are locked on the remote" in done.stdout
    assert f"locked: {md5}, until" in done.stdout
    assert client.head_object(Bucket="vault", Key=held["Key"])["VersionId"] == version


@pytest.mark.server
def test_what_was_removed_from_a_bucket_with_versions_comes_back(tmp_path: Path, emdvc: Emdvc, ceph_s3: CephS3) -> None:
    ceph_s3.make_bucket("versions")
    client = ceph_s3.client()
    client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    project = a_project(tmp_path, emdvc, ceph_s3, "versions")
    emdvc("push", cwd=project)
    (held,) = client.list_objects_v2(Bucket="versions", Prefix="data/files/md5/")["Contents"]
    client.delete_object(Bucket="versions", Key=held["Key"])
    for path in (project / ".dvc" / "cache" / "files" / "md5").rglob("*"):
        if path.is_file():
            path.unlink()
    (project / "raw" / "scan.npy").unlink()
    emdvc("verify", "--bytes", cwd=project, status=1)
    assert "there again" in emdvc("verify", "--bytes", "--repair", cwd=project).stderr
    dvc("pull", "-q", cwd=project)
    assert (project / "raw" / "scan.npy").read_bytes() == (tmp_path / "scan.npy").read_bytes()


@pytest.mark.server
def test_a_bucket_without_locks_is_told(tmp_path: Path, emdvc: Emdvc, ceph_s3: CephS3) -> None:
    ceph_s3.make_bucket("open")
    project = a_project(tmp_path, emdvc, ceph_s3, "open")
    config = project / ".emdvc" / "config.yaml"
    config.write_text(config.read_text() + "remotes:\n  profiles:\n    vault: {profile: archive, lock_days: 2}\n")
    refused = emdvc("push", cwd=project, status=2).stderr
    assert "does not lock objects" in refused
    assert len(ceph_s3.client().list_objects_v2(Bucket="open", Prefix="data/files/md5/")["Contents"]) == 1
