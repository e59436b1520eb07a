"""What the answers of an S3 service, and those of botocore, mean to the person who waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.storage.contract import InterruptedFault, RemoteSettings, SilentFault, fault, not_there
from emdvc.history.storage.line_faults import line_fault

#: Answers that say that there is no such object, and, where nothing but the status came back, perhaps no such bucket.
ABSENT = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchVersion"})

_AGAIN = frozenset(
    {
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TooManyRequests",
        "ServiceUnavailable",
        "InternalError",
        "RequestTimeout",
        "BadDigest",
        "IncompleteBody",
        "OperationAborted",
        "ConcurrentModification",
        "BandwidthLimitExceeded",
        "XAmzContentSHA256Mismatch",
        "429",
        "500",
        "502",
        "503",
        "504",
    }
)
_KEY = {
    "InvalidAccessKeyId": "does not know our access key",
    "SignatureDoesNotMatch": "refused our secret key",
    "ExpiredToken": "says that our login has expired",
    "ExpiredTokenException": "says that our login has expired",
    "TokenRefreshRequired": "says that our login has expired",
    "InvalidToken": "refused our session token",
    "InvalidSecurity": "refused our keys",
    "401": "refused our keys",
    "Unauthorized": "refused our keys",
    "AuthorizationHeaderMalformed": "refused our keys",
}
_RIGHTS = frozenset(
    {"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem", "MethodNotAllowed", "405"}
)
_FULL = frozenset({"QuotaExceeded", "InsufficientStorage", "507", "XMinioStorageFull", "InsufficientCapacity"})
_REGION = frozenset({"PermanentRedirect", "301", "307", "TemporaryRedirect", "IllegalLocationConstraintException"})
_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_NEEDED = {
    "HeadObject": "s3:GetObject and s3:ListBucket",
    "GetObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "DeleteObject": "s3:DeleteObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListParts": "s3:ListMultipartUploadParts",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
}


class NoS3Error(Exception):
    """An answer has not the form of S3's."""


def look_at_answer(response_dict: dict[str, Any], **_: Any) -> None:
    """Refuse an answer that says that all is well with a page for people: botocore would take it for a server's fault.

    Raises
    ------
    NoS3Error
        It is such a page.
    """
    body = response_dict.get("body")
    if response_dict.get("status_code") != 200 or not isinstance(body, bytes):
        return
    begin = body[:200].lstrip().lower()
    if begin and (not begin.startswith(b"<") or begin.startswith((b"<html", b"<!doctype html"))):
        raise NoS3Error(f"it begins with {body[:40].decode(errors='replace')!r}")


@contextmanager
def faults(settings: RemoteSettings, doing: str, key: str | None = None) -> Iterator[None]:
    """Turn what the libraries raise into faults of the remote.

    Parameters
    ----------
    settings
        Of the remote.
    doing
        What for: ``reading files/md5/ab/cd``.
    key
        Where given, an answer that there is no such object is FileNotFoundError.
    """
    from aiohttp import ClientError as LineError
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (EmdvcError, FileNotFoundError):
        raise
    except NoS3Error as error:
        raise no_s3(settings, f"{doing}: the answer is none of S3's, {error}") from error
    except ClientError as error:
        if key is not None and code_of(error) in ABSENT:
            raise not_there(settings, key) from error
        raise _answer(settings, error, doing) from error
    except (BotoCoreError, LineError, ConnectionError, TimeoutError) as error:
        raise _library(settings, error, doing) from error


def code_of(error: Any) -> str:
    """Return the code of an answer: ``NoSuchKey``, or the status where there is no more."""
    return str(error.response.get("Error", {}).get("Code") or _status(error) or "")


def no_s3(settings: RemoteSettings, evidence: BaseException | str) -> EnvironmentFault:
    """Return the fault of a server whose answers are not those of S3."""
    return fault(
        settings,
        "is no S3 service, or something on the way answers in its place",
        evidence,
        f"see endpointurl in: dvc remote list, and open {endpoint(settings)} in a browser: a login page or a proxy?",
        code=Code.REMOTE_PLACE,
    )


def endpoint(settings: RemoteSettings) -> str:
    """Return the address of the service, as far as the settings say."""
    import os

    return (
        settings.options.get("endpointurl")
        or os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
        or "https://s3.amazonaws.com"
    )


def _status(error: Any) -> int | None:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return int(status) if status else None


def _answer(settings: RemoteSettings, error: Any, doing: str) -> EnvironmentFault:
    """Return the fault that an answer of the service stands for."""
    code, name = code_of(error), settings.name
    said = str(error.response.get("Error", {}).get("Message") or "").strip().splitlines()
    evidence = f"{error.operation_name} was answered {code}" + (f": {said[0]}" if said and said[0] != code else "")
    check = f"emdvc remote check {name}"
    if code in _CLOCK:
        return fault(
            settings,
            "refused us because the clocks differ",
            f"{evidence}{_skew(error)}",
            "set this machine's clock (timedatectl set-ntp true), then try again",
            code=Code.REMOTE_REFUSED,
        )
    if code in _REGION or (code == "AuthorizationHeaderMalformed" and "region" in evidence):
        right = error.response.get("Error", {}).get("Region") or _header(error, "x-amz-bucket-region") or "THE-REGION"
        return fault(
            settings,
            "is in another region",
            evidence,
            f"dvc remote modify {name} region {right}",
            code=Code.REMOTE_PLACE,
        )
    if code in _KEY:
        expired = "Expired" in code or "Refresh" in code
        hint = "log in again (aws sso login, or new keys)" if expired else "look at the keys"
        where = f"in ~/.aws/credentials (AWS_PROFILE) or .dvc/config.local, then: {check}"
        return fault(settings, _KEY[code], evidence, f"{hint} {where}", code=Code.REMOTE_REFUSED)
    if code == "NoSuchBucket":
        bucket = urlsplit(settings.url).netloc
        return fault(
            settings,
            f"has no bucket {bucket}",
            evidence,
            f"is its name right (emdvc remote list)? else: aws s3 mb s3://{bucket} --endpoint-url {endpoint(settings)}",
            code=Code.REMOTE_PLACE,
        )
    if code in _RIGHTS:
        needed = _NEEDED.get(error.operation_name, "s3:PutObject")
        return fault(
            settings,
            f"does not let us go on {doing}",
            evidence,
            f"ask the bucket's owner for the right {needed}, then: {check}",
            code=Code.REMOTE_REFUSED,
        )
    if code in _FULL:
        return fault(
            settings, "is full", evidence, "ask its operator for room, or use another remote", code=Code.DISK_FULL
        )
    if code == "InvalidObjectState":
        hint = "have it restored from the archive: aws s3api restore-object"
        return fault(settings, f"keeps this object in an archive ({doing})", evidence, hint)
    if code in _AGAIN or ((_status(error) or 0) >= 500 and code not in ("NotImplemented", "501")):
        return fault(
            settings, f"failed while {doing}", evidence, f"try again later, or: {check}", kind=InterruptedFault
        )
    if code in ABSENT:
        return no_s3(settings, evidence)
    return fault(settings, f"refused {doing}", evidence, check)


def _library(settings: RemoteSettings, error: BaseException, doing: str) -> EnvironmentFault:
    """Return the fault that an error of botocore or aiohttp stands for."""
    from botocore import exceptions as known
    from botocore.parsers import ResponseParserError

    server, name = urlsplit(endpoint(settings)).netloc, settings.name
    check = f"emdvc remote check {name}"
    if isinstance(error, known.ProfileNotFound):
        hint = "see the profiles: aws configure list-profiles, then set AWS_PROFILE, or: dvc remote modify --local"
        return fault(
            settings,
            "is to be used with an AWS profile that is not there",
            error,
            f"{hint} {name} profile NAME",
            code=Code.REMOTE_REFUSED,
        )
    if isinstance(
        error,
        (
            known.NoCredentialsError,
            known.PartialCredentialsError,
            known.CredentialRetrievalError,
            known.NoAuthTokenError,
            known.TokenRetrievalError,
            known.SSOError,
        ),
    ):
        hint = f"put keys into ~/.aws/credentials (aws configure), or name a profile: AWS_PROFILE=NAME; then: {check}"
        return fault(settings, "needs keys, and none were found", error, hint, code=Code.REMOTE_REFUSED)
    if isinstance(error, ResponseParserError):
        return no_s3(settings, error)
    if isinstance(error, (known.ReadTimeoutError, TimeoutError)):  # read_timeout is set, and shorter than our patience
        hint = f"{check}; what has arrived stays, the same command goes on"
        evidence = f"nothing came within read_timeout while {doing}"
        return fault(settings, "does not answer any more", evidence, hint, code=Code.REMOTE_SILENT, kind=SilentFault)
    if isinstance(error, known.ConnectTimeoutError):
        return fault(
            settings,
            "does not answer",
            f"no connection to {server} came about in time",
            f"is this machine on the network or VPN? then: {check}",
            kind=InterruptedFault,
        )
    if (found := line_fault(settings, error, server)) is not None:
        return found
    if isinstance(error, (known.HTTPClientError, known.ConnectionError)) or not isinstance(error, known.BotoCoreError):
        return fault(
            settings,
            f"broke the connection while {doing}",
            error,
            f"the same command goes on; or: {check}",
            kind=InterruptedFault,
        )
    return fault(settings, f"cannot be used for {doing}", error, check)


def _header(error: Any, name: str) -> str | None:
    found = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(name)
    return str(found) if found else None


def _skew(error: Any) -> str:
    """Return how far our clock is from the server's, as a piece of text."""
    try:
        theirs = parsedate_to_datetime(_header(error, "date") or "")
    except ValueError:
        return ""
    ours = (datetime.now(UTC) - theirs).total_seconds()
    return f"; our clock is {abs(ours):.0f} s {'ahead' if ours > 0 else 'behind'}"
