"""The settings that emdvc knows are those that DVC takes, and no secret is missed."""

from __future__ import annotations

import pytest
from dvc.config_schema import REMOTE_SCHEMAS
from voluptuous import Schema

from emdvc.history.remotes.kinds import KINDS, SECRETS, kind_of

#: Words in the names of settings that hold a secret.
SECRET_WORDS = ("password", "secret", "token", "passphrase", "account_key", "connection_string", "customer_key")


def dvc_settings(scheme: str) -> set[str]:
    return {str(getattr(key, "schema", key)) for key in REMOTE_SCHEMAS["" if scheme == "folder" else scheme]}


@pytest.mark.parametrize("scheme", KINDS)
def test_dvc_knows_each_setting(scheme: str) -> None:
    assert KINDS[scheme].knows() <= dvc_settings(scheme)


@pytest.mark.parametrize("scheme", KINDS)
def test_dvc_takes_what_is_set(scheme: str) -> None:
    settings = {"url": f"{scheme}://host/folder", **KINDS[scheme].settings}
    taken = Schema(REMOTE_SCHEMAS["" if scheme == "folder" else scheme])(settings)
    assert taken["verify"] is True


@pytest.mark.parametrize("scheme", KINDS)
def test_no_secret_may_be_typed(scheme: str) -> None:
    not_secret = {"ask_password", "ask_passphrase", "bearer_token_command"}
    secret = {name for name in dvc_settings(scheme) if any(word in name for word in SECRET_WORDS)} - not_secret
    assert secret & KINDS[scheme].knows() <= SECRETS


def test_what_is_no_url_is_a_folder() -> None:
    assert kind_of("/mnt/lab").name == "folder"
    assert kind_of("../lab").name == "folder"
    assert kind_of("S3://bucket").name == "S3"
