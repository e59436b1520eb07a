"""The client of an S3 service, from DVC's settings and whatever the AWS tools read."""

from __future__ import annotations

import base64
import os
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

from emdvc.errors import Code
from emdvc.history.storage.contract import RemoteSettings, fault
from emdvc.history.storage.s3_faults import look_at_answer

_ADDITIONS = {
    "sse": "ServerSideEncryption",
    "sse_kms_key_id": "SSEKMSKeyId",
    "acl": "ACL",
    "grant_full_control": "GrantFullControl",
    "grant_read": "GrantRead",
    "grant_read_acp": "GrantReadACP",
    "grant_write_acp": "GrantWriteACP",
}


def place(settings: RemoteSettings) -> tuple[str, str]:
    """Return the bucket and what all keys begin with: empty, or ending with a slash.

    Raises
    ------
    EnvironmentFault
        The URL names no bucket.
    """
    parts = urlsplit(settings.url)
    prefix = parts.path.strip("/")
    if not parts.netloc:
        hint = f"dvc remote modify {settings.name} url s3://bucket/folder"
        raise fault(settings, "has no bucket in its URL", settings.url, hint, code=Code.REMOTE_PLACE)
    return parts.netloc, f"{prefix}/" if prefix else ""


def for_new_objects(settings: RemoteSettings) -> dict[str, str]:
    """Return what is said with each new object: encryption and rights."""
    return {word: settings.options[name] for name, word in _ADDITIONS.items() if settings.options.get(name)}


def for_all_objects(settings: RemoteSettings) -> dict[str, Any]:
    """Return what is said with each request for an object's bytes: the key that only we have."""
    secret = settings.options.get("sse_customer_key")
    if not secret:
        return {}
    algorithm = settings.options.get("sse_customer_algorithm") or "AES256"
    return {"SSECustomerAlgorithm": algorithm, "SSECustomerKey": base64.b64decode(secret)}


def marks_are_md5(settings: RemoteSettings) -> bool:
    """Return whether an object's mark is the md5 of its bytes, as far as the settings say."""
    return not settings.options.get("sse", "").startswith("aws:kms") and "sse_customer_key" not in settings.options


async def client_of(settings: RemoteSettings, connections: int, stack: AsyncExitStack) -> Any:
    """Return an open client.

    Parameters
    ----------
    settings
        Of the remote.
    connections
        At most, at a time.
    stack
        Closes it.
    """
    import botocore
    from aiobotocore.config import AioConfig
    from aiobotocore.session import AioSession

    options = settings.options
    session = AioSession(profile=options.get("profile"))
    for name, variable, word in (
        ("configpath", "AWS_CONFIG_FILE", "config_file"),
        ("credentialpath", "AWS_SHARED_CREDENTIALS_FILE", "credentials_file"),
    ):
        if options.get(name) and variable not in os.environ:  # the environment wins, as in DVC
            session.set_config_variable(word, options[name])
    more: dict[str, Any] = {}
    if settings.flag("allow_anonymous_login"):
        more["signature_version"] = botocore.UNSIGNED
    config = AioConfig(
        max_pool_connections=connections,
        connect_timeout=_seconds(options.get("connect_timeout"), max(1.0, min(10.0, settings.patience / 6))),
        # what is silent is ended by `patient`, which sees both directions
        read_timeout=_seconds(options.get("read_timeout"), settings.patience + 30),
        # emdvc.history.storage.trying tries again
        retries={"total_max_attempts": 1},
        # newer checksums of AWS are refused by many other services; each object goes with its md5
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="emdvc",
        **more,
    )
    context = session.create_client(
        "s3",
        region_name=options.get("region"),
        endpoint_url=options.get("endpointurl"),
        use_ssl=settings.flag("use_ssl") is not False,
        verify=_verify(settings),
        aws_access_key_id=options.get("access_key_id"),
        aws_secret_access_key=options.get("secret_access_key"),
        aws_session_token=options.get("session_token"),
        config=config,
    )
    client = await stack.enter_async_context(context)
    # botocore's own look at it, which makes a server's fault of any such answer, comes after handlers for any service
    client.meta.events.register("before-parse.*.ListObjectsV2", look_at_answer)
    return client


def _verify(settings: RemoteSettings) -> bool | str | None:
    """Return whether certificates are looked at, or the file of the authority."""
    flag = settings.flag("ssl_verify")
    text = settings.options.get("ssl_verify")
    if text is None or text.strip().lower() in ("true", "yes", "1", "on", "false", "no", "0", "off"):
        return flag
    return text


def _seconds(text: str | None, usual: float) -> float:
    try:
        return float(text) if text else usual
    except ValueError:
        return usual
