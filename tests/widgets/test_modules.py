"""Linking: many files in, one module out, the same in the browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from studium_widgets import ModuleLinkError, link

PACKAGE = Path(__file__).parents[2] / "widgets" / "studium_widgets"
SCRIPTS = sorted(PACKAGE.rglob("*.js"))
BLOB = """async (text) => {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  return (await import(url)).default;
}"""


@pytest.fixture
def write(tmp_path):
    def write(**files: str) -> Path:
        for name, text in files.items():
            (tmp_path / f"{name}.js").write_text(text, encoding="utf-8")
        return tmp_path / f"{next(iter(files))}.js"

    return write


@pytest.mark.browser
def test_a_linked_module_loads_from_a_blob_url(open_page, write):
    entry = write(
        top='import { double } from "./middle.js";\nimport {\n  one,\n} from "./leaf.js";\n'
        "export default double(one) + one;",
        middle="import { one } from './leaf.js';\nexport const double = (x) => 2 * x * one;",
        leaf="// a comment </script>\nexport const one = 7; /* kept */\nexport const text = `</script> “ü” \\n`;",
    )
    assert open_page().evaluate(BLOB, link(entry)) == 105


@pytest.mark.browser
def test_a_text_in_a_module_arrives_unchanged(open_page, write):
    for text in [r"a\\", r"\"quoted\"", r"it\'s", r"\\\"", r"tab\t, line\n", "“é” \u2028 </script>"]:
        entry = write(top=f'export default "{text}";')
        direct = open_page().evaluate(BLOB, entry.read_text(encoding="utf-8"))
        assert open_page().evaluate(BLOB, link(entry)) == direct


@pytest.mark.browser
def test_modules_that_share_a_file_share_its_state(open_page, write):
    entry = write(
        top='import { a } from "./a.js";\nimport { b } from "./b.js";\nexport default [a(), b()];',
        a='import { count } from "./leaf.js";\nexport const a = count;',
        b='export { count as b } from "./leaf.js";',
        leaf="let n = 0;\nexport const count = () => ++n;",
    )
    assert open_page().evaluate(BLOB, link(entry)) == [1, 2]


@pytest.mark.browser
def test_a_linked_module_loads_in_a_sandboxed_frame(open_page, write):
    entry = write(top='import { one } from "./leaf.js";\nexport default one;', leaf="export const one = 7;")
    page = open_page()
    answer = page.evaluate(
        """(text) => new Promise((done, failed) => {
          addEventListener("message", (event) => done(event.data));
          setTimeout(() => failed(new Error("the frame stayed silent")), 5000);
          const frame = document.createElement("iframe");
          frame.setAttribute("sandbox", "allow-scripts");
          frame.srcdoc = `<script type="module">${text}<` + "/script>";
          document.body.append(frame);
        })""",
        link(entry).replace("\nexport default ", "\nconst answer = ") + "parent.postMessage(answer, '*');",
    )
    assert answer == 7


def test_a_remark_behind_code_is_left_out_and_a_text_with_two_slashes_stays(write):
    text = link(write(top='const px = 3; // wide\nexport default ["a; // b", `c, // d`, "https://e"];'))
    assert "wide" not in text
    assert all(part in text for part in ("a; // b", "c, // d", "https://e"))


def test_a_shared_file_is_written_once(write):
    entry = write(
        top='import "./a.js";\nimport "./b.js";',
        a='import "./leaf.js";',
        b='import "./leaf.js";',
        leaf="self.leaf = 1;",
    )
    assert link(entry).count("self.leaf") == 1


def test_a_file_that_changed_is_read_again(write):
    entry = write(top='import { one } from "./leaf.js";\nexport default one;', leaf="export const one = 7;")
    assert "one = 7" in link(entry)
    os.utime(write(leaf="export const one = 8;"), (0, 0))
    assert "one = 8" in link(entry)


def test_no_path_of_this_machine_is_in_the_text(write, tmp_path):
    assert str(tmp_path.parent) not in link(write(top='import "./leaf.js";', leaf="1;"))


def test_the_text_cannot_close_a_script_element(write):
    assert "</script" not in link(write(top="export default '</script>';"))


def test_an_import_that_cannot_be_linked_names_its_file(write):
    for text, sentence in [
        ('import "./gone.js";', r"got .*gone\.js, imported by top\.js: check its spelling"),
        ('import d3 from "d3";', "got 'd3' in top.js: keep a copy beside it"),
        ('import "https://cdn.example/x.js";', "got 'https://cdn.example/x.js' in top.js"),
        ('import "./top.js";', "got top.js → top.js: move the shared part out"),
        ('import "studium_widgets/controls/gone.js";', r"controls/gone\.js, imported by top\.js"),
    ]:
        with pytest.raises(ModuleLinkError, match=sentence):
            link(write(top=text))


def test_no_template_literal_spans_lines_so_indentation_may_go():
    for script in SCRIPTS:
        assert [line for line in script.read_text(encoding="utf-8").splitlines() if line.count("`") % 2] == []
