"""`emdvc fields` and `emdvc formats`: every field, every reader, readable and as JSON."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from emdvc.cli.fields import app as fields_app
from emdvc.cli.formats import app as formats_app
from emdvc.errors import Code, MetadataError
from emdvc.formats.registry import readers
from emdvc.model.record import FIELDS


def run(app, *arguments):
    done = CliRunner().invoke(app, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_every_field_is_listed_once():
    lines = run(fields_app).splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(FIELDS)]] == [field.key for field in FIELDS]
    assert max(len(line) for line in lines) <= 100


def test_a_section_shows_where_others_keep_it():
    text = run(fields_app, "beam")
    assert "T.beam_energy" in text
    assert "B/electron_source/voltage" in text
    assert "optics." not in text.replace("O: N/optics", "")
    assert run(fields_app, "beam.energy").count("beam.energy") == 2


def test_fields_as_json():
    answer = json.loads(run(fields_app, "--json"))
    assert answer["schema"] == "emdvc/fields"
    assert answer["version"] == 1
    by_key = {entry["key"]: entry for entry in answer["fields"]}
    assert len(by_key) == len(FIELDS)
    assert by_key["beam.energy"]["unit"] == "keV"
    assert set(by_key["beam.energy"]) == {"key", "kind", "unit", "doc", "hyperspy", "nexus", "rare"}


def test_unknown_section_suggests():
    with pytest.raises(MetadataError) as error:
        run(fields_app, "beem")
    assert error.value.code == Code.METADATA_KEY
    assert "beam" in error.value.hint


def test_every_reader_is_listed():
    lines = run(formats_app).splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(readers())]] == [info.name for info in readers()]
    assert max(len(line) for line in lines) <= 120
    text = "\n".join(lines)
    assert all(extension in text for info in readers() for extension in info.extensions[:1])


def test_formats_as_json():
    answer = json.loads(run(formats_app, "--json"))
    assert answer["schema"] == "emdvc/formats"
    merlin = next(entry for entry in answer["readers"] if entry["name"] == "merlin")
    assert merlin["extensions"] == [".mib"]
    assert merlin["licence"] == "GPL-3.0-or-later"
    assert merlin["lazy"] is True
    assert merlin["extra"] == "formats"


def test_what_is_missing_names_the_extra(monkeypatch):
    from emdvc.formats.readers import table

    real = table.find_spec
    monkeypatch.setattr(table, "find_spec", lambda name: None if name == "rsciio" else real(name))
    text = run(formats_app)
    assert next(line for line in text.splitlines() if line.startswith("merlin")).split()[3] == "emdvc[formats]"
    assert text.endswith("pip install 'emdvc[formats]' installs what is missing\n")
