"""What a person sees: a real pseudo-terminal of 80 columns, the real program, the real server."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from rich.cells import cell_len

import weighbridge as wb
from conftest import WEIGHBRIDGE, RunCli, RunningServer
from weighbridge.cli.options import GlobalOptions
from weighbridge.cli.progress_bar import progress_shown
from weighbridge.cli.progress_lines import line
from weighbridge.cli.tally import Tally
from weighbridge.cli.text import clip, clip_start, visible

NewModel = Callable[[], str]

COLUMNS, LINES = 80, 24
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?[349][0-7]m")
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
HOSTILE = "a\x1b[31mred\rBEL\x07C1\x9b2J\u202eback"


class Terminal:
    """A program on a terminal of its own, which is its controlling terminal: Ctrl-C reaches it."""

    def __init__(self, *arguments: str | os.PathLike[str], environment: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (LINES, COLUMNS))
        clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *WEIGHBRIDGE, *(os.fspath(argument) for argument in arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**clean, "TERM": "xterm-256color", **environment},
        )
        os.close(slave)
        self.seen = ""
        self._bytes = b""

    def until(self, pattern: str, timeout_s: float = 60.0) -> re.Match[str]:
        """Reads until the text, without its escapes, has the pattern."""
        deadline = time.monotonic() + timeout_s
        while True:
            if found := re.search(pattern, self.plain, re.DOTALL):
                return found
            assert self._read(deadline), f"no {pattern!r} in {self.seen!r}"

    def end(self, timeout_s: float = 60.0) -> int:
        """Reads to the end and returns the exit code."""
        deadline = time.monotonic() + timeout_s
        while self._read(deadline):
            pass
        return self.process.wait(timeout_s)

    def press(self, keys: bytes) -> None:
        """Types."""
        os.write(self._master, keys)

    @property
    def plain(self) -> str:
        """What was written, without colours and cursor movements."""
        return ESCAPE.sub("", self.seen)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def _read(self, deadline: float) -> bool:
        readable, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        try:
            got = os.read(self._master, 65_536) if readable else b""
        except OSError:  # EIO: the last program on it has ended
            got = b""
        self._bytes += got
        self.seen = self._bytes.decode(errors="replace")
        return bool(got)


OpenTerminal = Callable[..., Terminal]


@pytest.fixture
def terminal(server: RunningServer) -> Iterator[OpenTerminal]:
    """Starts ``weighbridge`` on a terminal."""
    opened: list[Terminal] = []

    def start(*arguments: str | os.PathLike[str], **environment: str) -> Terminal:
        opened.append(Terminal(*arguments, environment={"WEIGHBRIDGE_SERVER": server.address, **environment}))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """300 MB under a long path: chunks to send, and holes, which are sent once."""
    folder = tmp_path / "checkpoint" / ("layers-" * 12) / ("更多的层" * 6)
    folder.mkdir(parents=True)
    with (folder / "model.bin").open("wb") as file:
        for _ in range(100):
            file.write(os.urandom(1_000_000))
        file.truncate(300_000_000)
    return tmp_path / "checkpoint"


def lines_of(text: str) -> list[str]:
    """What stood on lines of their own, in all the frames of a moving picture."""
    return [part for part in re.split(r"[\r\n]+", text) if part]


def test_a_push_shows_a_bar_that_fits_and_then_what_it_made(
    terminal: OpenTerminal, new_model: NewModel, checkpoint: Path
) -> None:
    model = new_model()
    screen = terminal("push", model, checkpoint)
    screen.until(r"pushing  [━─]+ +\d+%  +\d+\.\d MB of 300\.0 MB  +\d+\.\d MB/s")
    screen.until(r"1 file · ….*model\.bin  \d+ chunks skipped")
    assert screen.end() == 0
    frames, _, last = screen.plain.rpartition("skipped")
    assert f"pushed {model}:1\r\n  content   1 file, 300.0 MB\r\n" in last
    assert "\x1b[2K" in screen.seen.rpartition("skipped")[2], "the bar is wiped away"
    assert screen.seen.count("\x1b[?25l") == screen.seen.count("\x1b[?25h"), "the cursor is there again"
    assert max(map(cell_len, lines_of(frames))) < COLUMNS


def test_a_pull_shows_a_bar_too(
    terminal: OpenTerminal, client: wb.Client, new_model: NewModel, checkpoint: Path
) -> None:
    ref = client.push(new_model(), checkpoint).version.ref
    screen = terminal("pull", ref, checkpoint.with_name("out"))
    screen.until(r"pulling  [━─]+ +\d+%  +\d+\.\d MB of 300\.0 MB")
    assert screen.end() == 0
    assert f"pulled {ref} into" in screen.plain


def test_ctrl_c_ends_a_push_at_once_and_leaves_the_terminal_in_order(
    terminal: OpenTerminal, new_model: NewModel, tmp_path: Path
) -> None:
    with (tmp_path / "huge.bin").open("wb") as file:
        file.truncate(200_000_000_000)  # minutes of work, and no space: it is a hole
    screen = terminal("push", new_model(), tmp_path / "huge.bin")
    screen.until(r"pushing .*% .*MB/s")
    screen.press(b"\x03")
    assert screen.end(timeout_s=20) == 130
    assert screen.plain.rstrip().endswith("interrupted")
    assert "Traceback" not in screen.seen
    assert screen.seen.rindex("\x1b[?25h") > screen.seen.rindex("\x1b[?25l"), "the cursor is there again"


def test_an_error_is_one_line_in_colour_with_its_violations_under_it(terminal: OpenTerminal) -> None:
    screen = terminal("resolve", "Fraud.tabular")
    assert screen.end() == 1
    assert COLOUR.search(screen.seen)
    first, second, third, rest = screen.plain.split("\r\n")
    assert first.startswith("error: INVALID_NAME: 'Fraud.tabular' is not a model name; it is")
    assert second == "  name: has 2 segments separated by dots; it needs 3"
    assert third.startswith("  name.project: 'Fraud' has 'F'")
    assert rest == ""


def test_no_color_is_respected(terminal: OpenTerminal, new_model: NewModel, checkpoint: Path) -> None:
    refused = terminal("resolve", "Fraud.tabular", NO_COLOR="1")
    assert refused.end() == 1
    assert "error: INVALID_NAME" in refused.plain
    assert not COLOUR.search(refused.seen)
    pushed = terminal("push", new_model(), checkpoint, NO_COLOR="1")
    pushed.until(r"pushing  [━─]+")
    assert pushed.end() == 0
    assert not COLOUR.search(pushed.seen)


def test_a_listing_fits_with_whole_references(
    terminal: OpenTerminal, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    (tmp_path / "w").write_bytes(b"weights")
    model = new_model()
    client.create_model(model, owner="fraud", description="a description that goes on and on " * 5)
    for _ in range(2):
        client.push(model, tmp_path / "w")
    for verb in (("versions", model), ("models",)):
        screen = terminal(*verb)
        assert screen.end() == 0
        assert max(map(len, lines_of(screen.plain))) <= COLUMNS
        assert model in screen.plain
    trail = terminal("journal", "list", "--model", model)
    assert trail.end() == 0
    assert max(map(len, lines_of(trail.plain))) <= COLUMNS
    head, named, *rows = lines_of(trail.plain)
    assert (head.split(), named.split()) == (["REVISION", "TIME", "ACTION", "ACTOR"], ["RESOURCE"])
    assert [row.strip() for row in rows[1::2]] == [model, f"{model}:1", f"{model}:2"]
    assert all("unauthenticated:" in row for row in rows[::2])
    versions = terminal("versions", model)
    assert versions.end() == 0
    assert [row.split()[0] for row in lines_of(versions.plain)] == ["VERSION", f"{model}:2", f"{model}:1"]


def test_a_comparison_fits_and_says_better_and_worse_in_words_and_colours(
    terminal: OpenTerminal, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    (tmp_path / "w").write_bytes(b"weights")
    model, text = new_model(), "a value that is as long as a line of a terminal is, and longer, so it stands below"
    for number in range(2):
        params: dict[str, wb.Scalar] = {"lr": number, "long": f"{number} {text}"}
        metrics = {"auc": 1.0 - number, "loss": 1.0 - number}
        client.push(model, tmp_path / "w", params=params, metrics=metrics, capture=False)
    screen = terminal("compare", f"{model}:1", f"{model}:2")
    assert screen.end() == 0
    assert re.search(r"auc +higher +1 +0 +-1  \x1b\[[0-9;]*31mworse\x1b", screen.seen)
    assert re.search(r"loss +lower +1 +0 +-1  \x1b\[[0-9;]*32mbetter\x1b", screen.seen)
    assert re.search(rf"lr     0   1\r\nlong\r\n +:1 +0 {text}\r\n +:2 +1 {text}\r\n", screen.plain)
    assert max(len(line) for line in lines_of(screen.plain) if text not in line) <= COLUMNS


def test_a_dumb_terminal_gets_no_cursor_movements(
    terminal: OpenTerminal, new_model: NewModel, checkpoint: Path
) -> None:
    screen = terminal("push", new_model(), checkpoint, TERM="dumb")
    assert screen.end() == 0
    assert screen.seen.startswith("pushed ")
    assert "\x1b" not in screen.seen


# -- logs ------------------------------------------------------------------------------------------


def test_a_log_gets_plain_lines_and_a_last_one(
    client: wb.Client, new_model: NewModel, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_shown("pushing", GlobalOptions(), interval_s=0.02) as progress:
        client.push(new_model(), checkpoint, progress=progress)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) > 1
    for one in lines:
        assert re.fullmatch(r"pushing: [\d.]+ k?M?B of 300\.0 MB, [\d.]+ [kMG]?B/s, \d+ chunks? skipped", one)
    assert lines[-1].startswith("pushing: 300.0 MB of 300.0 MB, ")
    assert not lines[-1].endswith(" 0 chunks skipped")


def test_a_quick_transfer_says_nothing_in_a_log(
    client: wb.Client, new_model: NewModel, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_shown("pushing", GlobalOptions(), interval_s=3600) as progress:
        client.push(new_model(), checkpoint, progress=progress)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("options", [GlobalOptions(json=True), GlobalOptions(quiet=True)])
def test_no_lines_with_json_or_quiet(
    client: wb.Client,
    new_model: NewModel,
    checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
    options: GlobalOptions,
) -> None:
    with progress_shown("pushing", options, interval_s=0.001) as progress:
        client.push(new_model(), checkpoint, progress=progress)
    assert capsys.readouterr() == ("", "")


def test_a_line_and_the_throughput_of_the_last_seconds() -> None:
    tally = Tally()
    tally.begin(2, 3_000_000_000)
    tally.standing(0.0)
    tally.advance(500_000_000, 0)
    tally.advance(500_000_000, 400)
    standing = tally.standing(5.0)
    assert line("pushing", standing, standing.bytes_per_second) == (
        "pushing: 1.0 GB of 3.0 GB, 200.0 MB/s, 1 chunk skipped"
    )
    assert standing.seconds_left == 10
    tally.advance(0, 400)  # sent again: no progress, and nothing skipped
    assert tally.standing(20.0).bytes_per_second == 0
    assert tally.standing(20.0).seconds_left is None
    assert tally.standing(20.0).chunks_skipped == 1


# -- quiet -------------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(100_000))
    return path


@pytest.mark.long
def test_quiet_leaves_references_names_and_errors(
    run_cli: RunCli, new_model: NewModel, weights: Path, tmp_path: Path
) -> None:
    model = new_model()
    pushed = run_cli("-q", "push", model, weights)
    assert (pushed.code, pushed.out, pushed.err) == (0, f"{model}:1\n", "")
    assert run_cli("push", model, weights, "--quiet").out == f"{model}:2\n"
    assert run_cli("pull", "-q", model, tmp_path / "out").out == f"{model}:2\n"
    assert run_cli("resolve", "-q", model).out == f"{model}:2\n"
    assert run_cli("show", "-q", model).out == f"{model}:2\n"
    assert run_cli("versions", "-q", model).out == f"{model}:2\n{model}:1\n"
    assert f"\n{model}\n" in "\n" + run_cli("models", "-q").out
    assert run_cli("verify", "-q", tmp_path / "out").out == ""
    (tmp_path / "out" / "weights.bin").write_bytes(b"other")
    verified = run_cli("verify", "-q", tmp_path / "out")
    assert verified.code == 3
    assert "weights.bin" in verified.out
    assert run_cli("-q", "resolve", "no.such.model").err.startswith("error: MODEL_NOT_FOUND")
    assert run_cli("-q", "resolve", "--json", model).json["ref"] == f"{model}:2"


def test_a_card_is_laid_out_on_a_terminal(terminal: OpenTerminal, client: wb.Client, new_model: NewModel) -> None:
    model = new_model()
    text = "words " * 40
    link = "[ours](https://example.org/\x1b]8;;x)"
    client.create_model(
        model, card=f"# Heading :smile:\n\n- **one**\n- two {HOSTILE}\n\n{text}\n\n{link}\n\n```\na\tb\n```\n"
    )
    screen = terminal("model", "show", model)
    assert screen.end() == 0
    assert "# Heading" not in screen.plain
    assert "**one**" not in screen.plain
    assert "Heading :smile:" in screen.plain
    assert COLOUR.search(screen.seen)
    assert max(map(len, lines_of(screen.plain))) <= COLUMNS
    assert "\x1b[31m" not in screen.seen
    assert "\x1b]8" not in screen.seen
    assert "https://example.org/" in screen.plain


# -- hostile text --------------------------------------------------------------------------------------


@pytest.mark.long
def test_control_characters_are_shown_not_obeyed(
    run_cli: RunCli, client: wb.Client, new_model: NewModel, tmp_path: Path
) -> None:
    model, folder = new_model(), tmp_path / "folder"
    folder.mkdir()
    (folder / HOSTILE).write_bytes(b"weights")
    client.create_model(model, owner=HOSTILE, description=HOSTILE)
    # fmt: off
    pushed = run_cli(
        "push", model, folder, "--tag", f"{HOSTILE}={HOSTILE}", "--param", f"p={HOSTILE}", "--metric", f"{HOSTILE}=1",
        "--dataset", f"{HOSTILE}:{HOSTILE}", "--description", f"{HOSTILE}\nsecond line",
    )
    # fmt: on
    assert pushed.code == 0, pushed.err
    (tmp_path / HOSTILE).mkdir()
    for arguments in (
        ("show", model),
        ("versions", model),
        ("models",),
        ("pull", model, tmp_path / HOSTILE),
        ("verify", tmp_path / HOSTILE),
        ("resolve", HOSTILE),
        ("push", model, tmp_path / HOSTILE / "absent"),
        (f"--{HOSTILE}",),
        (HOSTILE,),
        ("push", model, folder, "--param", HOSTILE),
        ("models", "--server", HOSTILE),
        ("doctor", "--server", HOSTILE),
    ):
        ran = run_cli(*arguments)
        assert not CONTROL.search(ran.out + ran.err), arguments
        assert "\u202e" not in ran.out + ran.err
    shown = run_cli("show", model).out
    assert r"a\x1b[31mred\rBEL\x07C1\x9b2J\u202eback" in shown
    assert re.search(r"\n {8,}second line\n", shown), "a description keeps its lines, indented under itself"
    raw = run_cli("show", model, "--json")
    assert not CONTROL.search(raw.out)
    assert raw.json["tags"] == {HOSTILE: HOSTILE}
    assert raw.json["files"][0]["path"] == HOSTILE


@pytest.mark.parametrize(
    "arguments",
    [
        ("resolve", "a\udcff"),
        ("resolve", "a.b.c:\udcff"),
        ("resolve", "a.b.c@\udcff"),
        ("resolve", "a.b.c#\udcff"),
        ("versions", "\udcff"),
        ("show", "\udcff"),
        ("pull", "\udcff", "/tmp/never"),
        ("pull", "no.such.model", "/tmp/\udcff"),
        ("verify", "\udcff"),
        ("push", "\udcff", "/etc/hostname"),
        ("push", "a.b.c", "/tmp/\udcff"),
        ("push", "a.b.c", "/etc/hostname", "--description", "\udcff"),
        ("push", "a.b.c", "/etc/hostname", "--tag", "\udcff=1"),
        ("push", "a.b.c", "/etc/hostname", "--param", "x=\udcff"),
        ("push", "a.b.c", "/etc/hostname", "--metric", "\udcff=1"),
        ("push", "a.b.c", "/etc/hostname", "--dataset", "\udcff"),
        ("push", "a.b.c", "/etc/hostname", "--parent", "\udcff"),
        ("models", "--token", "\udcff"),
        ("models", "--token", "a\nb"),
        ("models", "--server", "\udcff:1"),
        ("models", "--server", "localhost:99999"),
    ],
)
def test_what_is_not_unicode_is_refused_in_a_line(run_cli: RunCli, arguments: tuple[str, ...]) -> None:
    ran = run_cli(*arguments)
    assert ran.code == 1
    assert re.match(r"error: [A-Z_]+: ", ran.err)
    refused = run_cli(*arguments, "--json")
    assert refused.code == 1
    assert refused.json["error"]["message"]


def test_a_file_name_that_is_not_unicode_is_named(run_cli: RunCli, new_model: NewModel, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a\udcff").write_bytes(b"weights")
    ran = run_cli("push", new_model(), tmp_path / "folder")
    assert ran.code == 1
    assert ran.err.startswith("error: INVALID_PATH: ")
    assert r"a\xff: is not valid Unicode" in ran.err


@pytest.mark.long
@pytest.mark.parametrize(
    "locale",
    [
        {"LANG": "C", "LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_any_encoding_takes_any_text(
    server: RunningServer, client: wb.Client, new_model: NewModel, tmp_path: Path, locale: Mapping[str, str]
) -> None:
    model = new_model()
    (tmp_path / "größer 🚚").write_bytes(b"weights")
    client.push(model, tmp_path / "größer 🚚", description="größer 🚚", tags={"größer": "🚚"})
    environment = {**os.environ, **locale, "WEIGHBRIDGE_SERVER": server.address}

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [*WEIGHBRIDGE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=False
        )
        return done.returncode, done.stdout.decode(errors="replace")

    for arguments in (("show", model), ("versions", model), ("models",), ("--help",), ("serve", "--help"), ("doctor",)):
        code, said = run(*arguments)
        assert (code, "Traceback" in said) == (0, False), said
    code, said = run("resolve", "größer 🚚")
    assert code == 1
    assert said.startswith("error: INVALID_NAME")
    assert json.loads(run("show", model, "--json")[1])["description"] == "größer 🚚"


def test_a_bar_on_a_terminal_without_unicode(terminal: OpenTerminal, new_model: NewModel, checkpoint: Path) -> None:
    (file,) = checkpoint.rglob("model.bin")
    (ascii_path := checkpoint.with_name("model.bin")).hardlink_to(file)
    screen = terminal("push", new_model(), ascii_path, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    screen.until(r"pushing  [=-]+ +\d+%")
    assert screen.end() == 0
    assert screen.seen.isascii()


def test_cut_texts_keep_to_their_columns() -> None:
    assert visible("tab\there\n\u2028\udcff\ud800") == r"tab\there\n\u2028\xff\ud800"
    assert clip("abcdef", 4) == "abc…"
    assert clip_start("abcdef", 4) == "…def"
    assert clip_start("层层层层", 5) == "…层层"
    assert [clip_start("abc", cells) for cells in (3, 1, 0, -5)] == ["abc", "…", "", ""]


# -- help, and output that cannot be written -----------------------------------------------------------

VERBS = tuple(
    """
    serve push pull verify models model versions search show metrics resolve compare lineage version reproduce
    schema policy promote requests approve reject rollback alias watch deployments zombies retire webhook journal token
    grant principal whoami doctor completion
    """.split()
)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_examples_and_fits(
    run_cli: RunCli, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = run_cli(verb, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert "  Examples:\n    " in ran.out
    assert "--server HOST:PORT" in ran.out
    assert "--quiet" in ran.out
    assert max(map(len, ran.out.splitlines())) <= COLUMNS, ran.out


def test_the_list_of_verbs_is_whole(terminal: OpenTerminal) -> None:
    screen = terminal("--help")
    assert screen.end() == 0
    listed = screen.plain.partition("Commands:")[2]
    assert "..." not in listed
    assert sorted(re.findall(r"^  ([a-z]+)  ", listed, re.MULTILINE)) == sorted(VERBS)


def test_without_arguments_it_helps(run_cli: RunCli) -> None:
    assert run_cli().out == run_cli("--help").out == run_cli("-h").out
    assert run_cli("push", "-h").out == run_cli("push", "--help").out
    assert run_cli().code == 0
    assert re.fullmatch(r"weighbridge, version [\w.]+\n", run_cli("--version").out)


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "2>&-", ">&- 2>&-", "| true"])
def test_output_that_cannot_be_written_is_no_traceback(server: RunningServer, redirection: str, tmp_path: Path) -> None:
    command = " ".join((*WEIGHBRIDGE, "models", "--server", server.address))
    done = subprocess.run(f"{command} {redirection}", shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    if redirection == ">/dev/full":
        assert done.returncode == 1
        assert done.stderr == "error: OUTPUT: the output cannot be written: the disk is full\n"
