"""Plugins add lines to ``studium doctor``."""

import json

PLUGIN = """
from studium import hookimpl
from studium.catalogue.findings import Finding

@hookimpl
def studium_findings():
    yield Finding("spoons", "3")
    {rest}
"""


def findings(studium):
    code, out, _ = studium("doctor", "--json")
    return code, {finding["what"]: finding for finding in json.loads(out)["findings"]}


def test_a_finding_of_a_plugin_is_a_line(sample, studium):
    sample.install("spoons", {"spoons": "spoons_plugin"}, {"spoons_plugin.py": PLUGIN.format(rest="")})
    code, found = findings(studium)
    assert (code, found["spoons"]["found"]) == (0, "3")


def test_a_plugin_that_fails_is_named_and_closes_no_other_line(sample, studium):
    text = PLUGIN.format(rest="raise RuntimeError('no luck')")
    sample.install("spoons", {"spoons": "spoons_plugin"}, {"spoons_plugin.py": text})
    code, found = findings(studium)
    assert code == 1
    assert found["plugin spoons"]["found"] == "RuntimeError: no luck"
    assert "sandbox" in found
