"""Who one is on a remote: what was asked for in a person's words, as DVC's settings of that kind."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from emdvc.errors import UsageError
from emdvc.history.remotes.kinds import HTTP, S3, SSH, WEBDAV, Kind


@dataclass(frozen=True, slots=True)
class Login:
    """Who one is, without the secret.

    Parameters
    ----------
    user
        User; for S3 the access key id.
    key_file
        Private SSH key.
    endpoint
        URL of the S3 service.
    aws_profile
        Profile of the AWS settings.
    token
        Whether the secret is a token.
    """

    user: str | None = None
    key_file: str | None = None
    endpoint: str | None = None
    aws_profile: str | None = None
    token: bool = False


def settings_of(kind: Kind, login: Login) -> dict[str, str]:
    """Return the settings that say who one is.

    Raises
    ------
    UsageError
        The kind of storage knows no such thing, or the key is not there.
    """
    found: dict[str, str] = {}
    if login.user is not None:
        found[_known("--user", {S3.name: "access_key_id", **{k.name: "user" for k in (SSH, WEBDAV, HTTP)}}, kind)] = (
            login.user
        )
    if login.key_file is not None:
        key = Path(login.key_file).expanduser()
        if not key.is_file():
            raise UsageError("there is no such key file", evidence=str(key), hint="ssh-keygen -t ed25519 makes one")
        if key.suffix == ".pub":
            hint = f"name the private one: --key-file {key.with_suffix('')}"
            raise UsageError(f"{key.name} is the public key", hint=hint)
        found[_known("--key-file", {SSH.name: "keyfile"}, kind)] = os.path.abspath(key)  # noqa: PTH100
    if login.endpoint is not None:
        if not login.endpoint.startswith(("http://", "https://")):
            raise UsageError("the endpoint is the URL of the S3 service", hint="--endpoint https://s3.example.org")
        found[_known("--endpoint", {S3.name: "endpointurl"}, kind)] = login.endpoint
    if login.aws_profile is not None:
        found[_known("--aws-profile", {S3.name: "profile"}, kind)] = login.aws_profile
    if login.user is not None and kind is HTTP:
        found["auth"] = "basic"
    return found


def secret_of(kind: Kind, login: Login) -> str:
    """Return the setting that the secret goes to.

    Raises
    ------
    UsageError
        The kind of storage takes no secret.
    """
    if login.token:
        return _known("--token", {WEBDAV.name: "token"}, kind)
    ssh = "passphrase" if login.key_file else "password"
    names = {S3.name: "secret_access_key", SSH.name: ssh, WEBDAV.name: "password", HTTP.name: "password"}
    return _known("a password", names, kind)


def asked(kind: Kind, login: Login) -> tuple[str, ...]:
    """Return what a secret alone is of no use without."""
    return ("access_key_id",) if kind is S3 else ()


def _known(what: str, names: dict[str, str], kind: Kind) -> str:
    if kind.name not in names:
        raise UsageError(f"{what} is for {' and '.join(names)} remotes; this is a {kind.name} remote")
    return names[kind.name]
