"""``emdvc remote``: where data is shared: add, list, check and remove remotes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emdvc.cli import output
from emdvc.errors import UsageError

if TYPE_CHECKING:
    from emdvc.history.finding import Finding
    from emdvc.history.remotes.listing import Listed

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Where data is shared: add, list, check and remove remotes.",
)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the remote is called: lab, archive.")],
    url: Annotated[
        str, typer.Argument(metavar="URL", help="A folder, s3://, ssh://, webdav(s)://, or http(s):// for reading.")
    ],
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="facility|archive|scratch", help="What may be done to what lies there; at first facility."
        ),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="New raw data goes there.")] = False,
    results: Annotated[bool, typer.Option("--results", help="Outputs of new stages go there.")] = False,
    default: Annotated[
        bool | None, typer.Option("--default/--no-default", help="Make it the default one; the first is.")
    ] = None,
    existing: Annotated[
        bool, typer.Option("--existing", help="With --raw or --results: lead data that is there already, too.")
    ] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of DVC, as jobs=16. Repeatable.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="User there; for S3 the access key id. Not committed.")] = None,
    key_file: Annotated[str | None, typer.Option(metavar="FILE", help="Private SSH key. Not committed.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="The S3 service, where it is not Amazon's.")
    ] = None,
    aws_profile: Annotated[str | None, typer.Option(help="Profile of ~/.aws/credentials. Not committed.")] = None,
    ask_password: Annotated[
        bool, typer.Option("--ask-password", help="Ask for the secret here. Not committed.")
    ] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the secret from stdin.")] = False,
    password_env: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="Read the secret from this environment variable.")
    ] = None,
    token: Annotated[bool, typer.Option("--token", help="WebDAV: the secret is a token.")] = False,
    lock_days: Annotated[
        str | None, typer.Option(metavar="DAYS", help="Archive: lock objects so long, where the server can.")
    ] = None,
    read_only: Annotated[bool | None, typer.Option("--read-only/--writable", help="Nothing is sent there.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Take the place of a remote of that name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be written.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Add a remote, as plain DVC settings: `dvc push` and `dvc pull` work with it, too.

    What is fetched is checked, and the number of parallel transfers is the one that measured best for its kind. Secrets
    are asked for, never typed on the command line, and go to .dvc/config.local, which is not committed. AWS profiles,
    ~/.ssh/config and the usual environment variables work without any of these options.
    """
    from emdvc.history.project import Project
    from emdvc.history.remotes import adding, credentials
    from emdvc.history.remotes.url import RemoteUrl

    project = Project.find()
    remote = RemoteUrl.of(name, url, project.root)
    logins = credentials.Login(user, key_file, endpoint, aws_profile, token)
    plain = credentials.settings_of(remote.kind, logins) | _settings(settings or [])
    asked = [ask_password, password_stdin, password_env is not None]
    if sum(asked) > 1:
        raise UsageError("the secret comes from one place", hint="--ask-password, --password-stdin or --password-env")
    if existing and not (raw or results):
        raise UsageError("--existing needs --raw or --results")
    wish = adding.Wish(
        profile,
        (*(("raw",) if raw else ()), *(("results",) if results else ())),
        default,
        plain,
        {},
        _days(lock_days),
        read_only,
        existing,
        force,
    )
    plan = adding.plan(project.root, remote, wish)  # before anybody is asked for a password
    if any(asked) and not dry_run:
        if "access_key_id" in credentials.asked(remote.kind, logins) and user is None:
            plan.local["access_key_id"] = _line("access key id: ", ask_password)
        key = credentials.secret_of(remote.kind, logins)
        plan.local[key] = _secret(f"{key.replace('_', ' ')} of {remote.name}: ", ask_password, password_env)
    written = adding.apply(project, plan, dry_run=dry_run)
    if dry_run:
        output.note("dry run: nothing is written; it would be")
    if json:
        content = {"name": remote.name, "url": remote.url, "kind": remote.kind.name, "changes": list(written.changes)}
        output.as_json("remote", {**content, "led": [str(path) for path in written.led], "notes": list(written.notes)})
        return
    output.say(f"remote {remote.name}: {url} ({remote.kind.name})")
    for change in written.changes or ("nothing changed",):
        output.say(f"  {change}")
    if written.led:
        output.say(f"  led there: {', '.join(map(str, written.led[:5]))}{' ...' if len(written.led) > 5 else ''}")
    for text in written.notes:
        output.say(f"  note: {text}")
    if not dry_run:
        output.say(f"next: emdvc remote check {remote.name}")


@app.command(name="list")
def list_remotes(json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False) -> None:
    """List the remotes: where each is, and what goes there. None is asked."""
    from emdvc.history.project import Project
    from emdvc.history.remotes.listing import listed

    found = listed(Project.find())
    if json:
        output.as_json("remotes", {"remotes": [_plain(one) for one in found]})
        return
    for one in found:
        mark = "*" if one.default else " "
        output.say(f"{mark} {one.name}  {one.url}  ({one.kind}, {one.profile.name})")
        locked = f"; objects are locked for {one.profile.lock_days} days" if one.profile.lock_days else ""
        output.say(f"    {one.purpose}{locked}")
    if not found:
        output.say("no remote: data is shared nowhere; next: emdvc remote add lab /path/or/s3://bucket")


@app.command()
def check(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Which remote; by default the default one.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Check all remotes.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Write nothing there and measure no throughput.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Check a remote by using it: login, rights, clock, room, locks, speed; and name the remedy of each fault.

    A small file is written below emdvc-tmp/ there, read, and removed. Throughput is measured for about four seconds
    each way, with at most 64 MiB. The exit status is 1 when a check failed.
    """
    from emdvc.history.project import Project
    from emdvc.history.remotes.checking import check as examine
    from emdvc.history.storage.settings import remote_names, remote_settings

    if every and name is not None:
        raise UsageError("--all checks every remote", hint="leave out the name, or --all")
    project = Project.find()
    names = remote_names(project) if every else [remote_settings(project, name).name]
    answer, failed = [], False
    for one in names:
        findings = []
        if not json:
            output.say(f"remote {one} ({remote_settings(project, one).url})")
        for finding in examine(project, one, quick=quick):
            findings.append(finding)
            if not json:
                _print(finding)
        failed |= any(finding.verdict == "fail" for finding in findings)
        answer.append({"name": one, "findings": [finding.to_dict() for finding in findings]})
    if json:
        output.as_json("remote-check", {"ok": not failed, "remotes": answer})
    elif not names:
        output.say("no remote: data is shared nowhere; next: emdvc remote add lab /path/or/s3://bucket")
    if failed:
        raise typer.Exit(1)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which remote.")],
    force: Annotated[bool, typer.Option("--force", help="Although data names it, or is only there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be removed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Take a remote out of the settings; what lies there stays. Refused while datasets name it, or are only there."""
    from emdvc.history.project import Project
    from emdvc.history.remotes.removing import remove as take_out

    removed = take_out(Project.find(), name, force=force, dry_run=dry_run)
    if dry_run:
        output.note("dry run: nothing is removed; it would be")
    if json:
        output.as_json("remote-removed", {"name": removed.name, "url": removed.url, "changes": list(removed.changes)})
        return
    output.say(f"remote {removed.name} is no longer set; what lies at {removed.url} stays there")
    for change in removed.changes:
        output.say(f"  gone: {change}")


def _print(finding: Finding) -> None:
    output.say(f"  {finding.verdict:<4}  {finding.check}: {finding.text}")
    if finding.remedy:
        output.say(f"          {finding.remedy}")


def _plain(one: Listed) -> dict[str, Any]:
    return {
        "name": one.name,
        "url": one.url,
        "kind": one.kind,
        "profile": one.profile.name,
        "lock_days": one.profile.lock_days,
        "default": one.default,
        "raw": "raw" in one.routes,
        "results": "results" in one.routes,
        "writes": one.writes,
    }


def _settings(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UsageError(f"'{text.partition('=')[0]}' sets nothing", hint="write KEY=VALUE, as in --set jobs=16")
        found[key.strip().lower()] = value.strip()
    return found


def _days(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or not int(text):
        raise UsageError("--lock-days is a whole number of days", evidence=f"it is '{text}'", hint="--lock-days 3650")
    return int(text)


def _line(prompt: str, ask: bool) -> str:
    if ask and sys.stdin.isatty():
        print(prompt, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip()
    raise UsageError("the access key id is not known", hint="give it with --user: it is no secret")


def _secret(prompt: str, ask: bool, variable: str | None) -> str:
    if variable is not None:
        found, where = os.environ.get(variable, ""), f"the environment variable {variable}"
    elif ask:
        if not sys.stdin.isatty():
            raise UsageError("nobody is here to be asked", hint="--password-stdin, or --password-env VARIABLE")
        from getpass import getpass

        found, where = getpass(prompt), "what was typed"
    else:
        found, where = sys.stdin.readline().rstrip("\r\n"), "stdin"
    if not found:
        raise UsageError("there is no secret", evidence=f"{where} is empty")
    return found
