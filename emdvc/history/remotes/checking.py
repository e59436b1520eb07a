"""``emdvc remote check``: a remote is used as every command uses it, and each fault is told with its remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.finding import Finding
from emdvc.history.project import Project
from emdvc.history.remotes import profiles, settings_check, trial
from emdvc.history.remotes.kinds import kind_of
from emdvc.history.remotes.profiles import Profile
from emdvc.history.storage import loop
from emdvc.history.storage.contract import RemoteSettings
from emdvc.history.storage.settings import remote_settings

#: What a fault of each code is about.
_ABOUT = {
    Code.REMOTE_REFUSED: "access",
    Code.REMOTE_UNTRUSTED: "trust",
    Code.REMOTE_PLACE: "place",
    Code.DISK_FULL: "room",
}
#: Bytes of free room below which a scan may not fit any more.
_LITTLE_ROOM = 5e9
#: Seconds by which clocks may differ: services refuse requests that are off by 15 minutes, and log-ins much earlier.
_SKEW, _REFUSED_SKEW = 60.0, 900.0


def check(project: Project, name: str, *, quick: bool = False) -> Iterator[Finding]:
    """Yield what is found of a remote, one check after the other.

    Parameters
    ----------
    project
        The project.
    name
        Of the remote.
    quick
        Whether nothing is written there and no throughput is measured.

    Raises
    ------
    ProjectError
        There is no such remote.
    """
    settings = remote_settings(project, name)
    profile = profiles.of(project, settings.name)
    yield from settings_check.check(project, settings, profile)
    writes = kind_of(settings.url).writes and not profile.read_only
    try:
        seen = loop.run(trial.tried(project, settings, writes=writes, quick=quick))
    except EnvironmentFault as fault:
        yield failing(settings, _ABOUT.get(fault.code, "reach"), fault)
        return
    yield Finding("reach", "ok", f"answers in {_time(seen.round_trip)}")
    yield from _rights(settings, profile, seen, writes)
    if quick:
        return
    yield from _clock(seen)
    yield from _protection(settings, profile, seen)
    yield from _notes(seen)
    yield from _room(settings, seen)
    if seen.speed is not None:
        up, down = seen.speed
        yield Finding("throughput", "ok", f"{up} up, {down} down, one file of {_size(up.size)} at a time")
    elif seen.kept:
        yield Finding("throughput", "ok", f"not measured: {seen.kept}")
    elif seen.slow is not None:
        yield failing(settings, "throughput", seen.slow)


def failing(settings: RemoteSettings, about: str, fault: EmdvcError) -> Finding:
    """Return a fault as a line: without the remote's name, which stands above it, and with its own remedy."""
    said = fault.cause.removeprefix(f"the remote {settings.name} ({settings.url}) ")
    text = said + (f": {fault.evidence}" if fault.evidence else "")
    itself = f"emdvc remote check {settings.name}"
    # what is running needs not be named as the remedy
    hint = re.sub(rf"[;,]?\s*(then|or)?:?\s*{re.escape(itself)}", "", fault.hint or "").strip(" ;,")
    return Finding(about, "fail", text, hint or f"see what is set: dvc config --list; then {itself}")


def _rights(settings: RemoteSettings, profile: Profile, seen: trial.Seen, writes: bool) -> Iterator[Finding]:
    for right in ("list", "read", "write", "delete"):
        outcome = seen.rights.get(right)
        if outcome is True:
            yield from _granted(right, profile)
        elif isinstance(outcome, EmdvcError):
            yield from _refused(settings, profile, right, outcome)
        elif outcome is None and right in ("write", "delete") and not writes:
            if right == "write":
                yield Finding("write", "ok", "read-only, as it is set: nothing is sent there")
        elif right == "read" and outcome is None and seen.reading:
            yield Finding("read", "ok", seen.reading)


def _granted(right: str, profile: Profile) -> Iterator[Finding]:
    if right == "delete" and not profile.collected:
        text = "allowed; on an archive nobody needs it from here"
        yield Finding(right, "ok", text)
    else:
        yield Finding(right, "ok", "allowed")


def _refused(settings: RemoteSettings, profile: Profile, right: str, fault: EmdvcError) -> Iterator[Finding]:
    if right == "delete" and not profile.collected:
        yield Finding(right, "ok", "refused, as it should be on an archive")
        return
    finding = failing(settings, right, fault)
    if fault.code == Code.REMOTE_REFUSED and right == "write":
        hint = (
            f"ask its owner for the rights; to read only: emdvc remote add {settings.name} {settings.url} --read-only"
        )
        finding = Finding(right, "fail", finding.text, hint)
    elif fault.code == Code.REMOTE_REFUSED and right == "delete":
        yield Finding(right, "warn", finding.text, "only `emdvc gc` needs it: without it nothing can be cleaned away")
        return
    elif fault.code == Code.REMOTE_REFUSED and right == "list":
        finding = Finding(right, "fail", finding.text, "ask its owner for the right to list (S3: s3:ListBucket)")
    yield finding


def _clock(seen: trial.Seen) -> Iterator[Finding]:
    if seen.skew is None:
        return
    ahead = "ahead of" if seen.skew > 0 else "behind"
    off = abs(seen.skew)
    if off <= _SKEW:
        yield Finding("clock", "ok", f"the same as here within {max(off, 1):.0f} s")
        return
    verdict = "fail" if off >= _REFUSED_SKEW else "warn"
    text = f"its clock is {_span(off)} {ahead} this machine's"
    yield Finding(
        "clock", "fail" if verdict == "fail" else "warn", text, "set this machine's clock: timedatectl set-ntp true"
    )


def _protection(settings: RemoteSettings, profile: Profile, seen: trial.Seen) -> Iterator[Finding]:
    found = seen.protection
    if found is None:
        return
    bucket = settings.url.split("://", 1)[-1].split("/", 1)[0]
    if isinstance(found, EmdvcError):
        yield Finding("locks", "warn", f"whether objects are locked is not told: {found.evidence or found.cause}", None)
        return
    if found.locked:
        yield Finding("locks", "ok", f"objects can be locked; {found.default or 'none is locked by default'}")
    elif profile.lock_days:
        text = f"objects are to be locked for {profile.lock_days} days, but the bucket has no object lock"
        yield Finding(
            "locks", "fail", text, f"aws s3api create-bucket --bucket {bucket}-locked --object-lock-enabled-for-bucket"
        )
    elif not profile.collected:
        hint = f"aws s3api create-bucket --bucket {bucket}-locked --object-lock-enabled-for-bucket, and use that one"
        yield Finding(
            "locks", "warn", "an archive, but the bucket has no object lock: whoever has a key can delete", hint
        )
    else:
        yield Finding("locks", "ok", "no object lock")
    if found.versioned:
        yield Finding("versions", "ok", "kept: what is overwritten or deleted can be brought back")
    elif not profile.collected:
        hint = f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
        yield Finding("versions", "warn", "not kept: what is deleted on this archive is gone", hint)
    else:
        yield Finding("versions", "ok", "not kept")


def _notes(seen: trial.Seen) -> Iterator[Finding]:
    if seen.notes is True:
        yield Finding("emdvc lock", "ok", "works: of two who lock the same at once, one does")
    elif seen.notes is not None:
        said = seen.notes.evidence or seen.notes.cause if isinstance(seen.notes, EmdvcError) else "two could both do it"
        hint = "only where several people edit one array by hand: note locks on another remote: emdvc lock PATH -r NAME"
        yield Finding("emdvc lock", "warn", f"does not work here: {said}", hint)


def _room(settings: RemoteSettings, seen: trial.Seen) -> Iterator[Finding]:
    if seen.free is None:
        return
    if seen.free < _LITTLE_ROOM:
        verdict = "fail" if seen.free < 1e8 else "warn"
        hint = "make room there; what nothing recorded needs: emdvc gc"
        yield Finding("room", "fail" if verdict == "fail" else "warn", f"{_size(seen.free)} free", hint)
    else:
        yield Finding("room", "ok", f"{_size(seen.free)} free")


def _time(seconds: float) -> str:
    return (
        f"{seconds * 1e3:.1f} ms"
        if seconds < 0.01
        else f"{seconds * 1e3:.0f} ms"
        if seconds < 1
        else f"{seconds:.1f} s"
    )


def _span(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 5400
        else f"{seconds / 60:.0f} min"
        if seconds >= 90
        else f"{seconds:.0f} s"
    )


def _size(count: float) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
