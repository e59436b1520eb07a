"""The kinds of storage that a remote can be: what each needs, the settings that measured best, and its secrets."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of storage.

    Parameters
    ----------
    name
        As a person calls it.
    package
        Python package that moves the data; None where none but DVC is needed.
    settings
        Settings of DVC that it is given, where nothing else is set.
    personal
        Settings that differ from person to person: they go to the file that is not committed.
    secrets
        Settings that hold a secret: they go there too, and are never typed on a command line.
    shared
        Further settings that DVC knows for it.
    writes
        Whether data can be sent to it.
    """

    name: str
    package: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    personal: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    writes: bool = True

    def knows(self) -> frozenset[str]:
        """Return every setting that DVC knows for it, the URL left out."""
        return frozenset({"verify", "jobs", "checksum_jobs"}) | self.personal | self.secrets | self.shared


_VERIFY = {"verify": "true"}

FOLDER = Kind("folder", settings=_VERIFY, shared=frozenset({"type", "shared", "slow_link_warning"}))
S3 = Kind(
    "S3",
    "dvc_s3",
    # a server that stopped answering kept DVC waiting for 40 minutes with its own limits
    {**_VERIFY, "jobs": "16", "connect_timeout": "10", "read_timeout": "120"},
    frozenset({"profile", "credentialpath", "configpath", "access_key_id"}),
    frozenset({"secret_access_key", "session_token", "sse_customer_key"}),
    frozenset(
        {
            "region",
            "endpointurl",
            "use_ssl",
            "ssl_verify",
            "allow_anonymous_login",
            "sse",
            "sse_kms_key_id",
            "sse_customer_algorithm",
            "acl",
            "grant_read",
            "grant_read_acp",
            "grant_write_acp",
            "grant_full_control",
            "connect_timeout",
            "read_timeout",
            "version_aware",
        }
    ),
)
SSH = Kind(
    "SSH",
    "dvc_ssh",
    # 802 files at 20 ms round trip: 14 s with 64, 25 s with DVC's own number, 113 s with 1
    {**_VERIFY, "jobs": "64"},
    frozenset({"user", "keyfile", "allow_agent", "gss_auth", "ask_password", "ask_passphrase"}),
    frozenset({"password", "passphrase"}),
    frozenset({"port", "timeout", "max_sessions", "type"}),
)
WEBDAV = Kind(
    "WebDAV",
    "dvc_webdav",
    {**_VERIFY, "jobs": "16"},
    frozenset({"user", "ask_password", "cert_path", "key_path", "bearer_token_command"}),
    frozenset({"password", "token"}),
    frozenset({"custom_auth_header", "ssl_verify", "timeout"}),
)
HTTP = Kind(
    "HTTP",
    None,
    {**_VERIFY, "jobs": "16"},
    frozenset({"user", "ask_password"}),
    frozenset({"password"}),
    frozenset({"auth", "custom_auth_header", "ssl_verify", "method", "connect_timeout", "read_timeout"}),
    writes=False,
)
GOOGLE = Kind(
    "Google",
    "dvc_gs",
    _VERIFY,
    frozenset({"credentialpath"}),
    frozenset(),
    frozenset({"projectname", "endpointurl", "allow_anonymous_login"}),
)
AZURE = Kind(
    "Azure",
    "dvc_azure",
    _VERIFY,
    frozenset(),
    frozenset({"connection_string", "sas_token", "account_key", "client_secret"}),
    frozenset({"account_name", "tenant_id", "client_id", "allow_anonymous_login"}),
)

#: Scheme of a URL -> what it is.
KINDS: dict[str, Kind] = {
    "folder": FOLDER,
    "s3": S3,
    "ssh": SSH,
    "webdav": WEBDAV,
    "webdavs": WEBDAV,
    "http": HTTP,
    "https": HTTP,
    "gs": GOOGLE,
    "azure": AZURE,
}

#: Every setting that holds a secret, of whatever kind.
SECRETS = frozenset().union(*(kind.secrets for kind in KINDS.values()))


def kind_of(url: str) -> Kind:
    """Return the kind of a remote's URL; what is no known scheme is a folder."""
    scheme = url.split("://", 1)[0].lower() if "://" in url else "folder"
    return KINDS.get(scheme) or Kind(scheme)
