"""Whatever is wrong with the input: one line that names it, or a rejects file."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tagmill import cli
from tests.cli.command import check_refusal, refusal, tagmill, tagmill_process
from tests.cli.samples import CATALOGUE, DRESS, SHIRT, read_lines, write_lines

READERS = (("tag",), ("train", "-o", "model", "--from"), ("evaluate",))


@pytest.mark.parametrize("command", READERS, ids=lambda command: command[0])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_an_empty_file(tmp_path: Path, command: tuple[str, ...], ending: str) -> None:
    (tmp_path / f"empty.{ending}").touch()
    message = refusal(*command, f"empty.{ending}", cwd=tmp_path)
    assert message.startswith(f"empty.{ending} is empty")
    assert [path.name for path in tmp_path.iterdir()] == [f"empty.{ending}"]


@pytest.mark.parametrize("command", READERS, ids=lambda command: command[0])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_binary_file(tmp_path: Path, command: tuple[str, ...], ending: str) -> None:
    noise = np.random.default_rng(1).bytes(5000)
    (tmp_path / f"noise.{ending}").write_bytes(noise)
    message = refusal(*command, f"noise.{ending}", cwd=tmp_path)
    assert message.startswith(f"noise.{ending} is ")
    assert "binary" in message or "Parquet" in message


def test_files_of_the_wrong_kind_into_a_workspace(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "noise.csv").write_bytes(np.random.default_rng(1).bytes(5000))
    (tmp_path / "empty.csv").touch()
    for verb in ("import", "sync"):
        assert "binary" in refusal("catalog", verb, tmp_path / "noise.csv", "-w", workspace)
        assert "is empty" in refusal("catalog", verb, tmp_path / "empty.csv", "-w", workspace)
        assert "no file" in refusal("catalog", verb, tmp_path / "none.csv", "-w", workspace)
    assert "binary" in refusal("library", "import", tmp_path / "noise.csv", "-w", workspace)
    assert "is empty" in refusal("library", "import", tmp_path / "empty.csv", "-w", workspace)
    assert "cannot be read" in refusal("library", "import", tmp_path / "none.csv", "-w", workspace)


def test_an_argument_that_is_not_utf_8(workspace: Path) -> None:
    bad = "C:\udcff"  # as Python reads the byte 0xff of a command line
    assert "is not UTF-8" in refusal("library", "add", bad, "-w", workspace)
    assert "is not UTF-8" in refusal("library", "add", "C:x", "--why", bad, "-w", workspace)


def test_a_wrong_column_name(tmp_path: Path) -> None:
    source = tmp_path / "shop.csv"
    source.write_text("sku,title\n1,red dress\n", encoding="utf-8")
    message = refusal("tag", source)
    assert "has no column 'id'. Columns: sku, title. Map it with: --map id=" in message
    message = refusal("tag", source, "--map", "id=skuu")
    assert "no column 'skuu'" in message
    assert "Columns: sku, title" in message
    assert "no field 'foo'" in refusal("tag", source, "--map", "foo=sku")
    assert "OURS=THEIRS" in refusal("tag", source, "--map", "id:sku")


def _mostly_good(kind: str) -> tuple[str, list[int]]:
    """A file of 1,000 rows, and the lines of the 37 that are broken."""
    bad = sorted(np.random.default_rng(5).choice(np.arange(1, 1000), 37, replace=False).tolist())
    lines = []
    for number in range(1000):
        title, flaw = f"红色连衣裙 {number}", bad.index(number) % 4 if number in bad else -1
        if kind == "jsonl":
            row = json.dumps({"id": f"p{number}", "title": title}, ensure_ascii=False)
            broken = (row[:-9], json.dumps({"title": title}), f'{{"id": "x{number}"}}', "[1, 2]")
        else:
            row = f"p{number},{title}"
            broken = (f",{title}", f"x{number},", f"p0,{title}", f"x{number},{title},too,many")
        lines.append(row if flaw < 0 else broken[flaw])
    header = ["id,title"] if kind == "csv" else []
    return "\n".join([*header, *lines]) + "\n", [n + 1 + len(header) for n in bad]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_37_broken_rows_of_1000(tmp_path: Path, kind: str) -> None:
    text, bad_lines = _mostly_good(kind)
    source, goal = tmp_path / f"mixed.{kind}", tmp_path / "out.jsonl"
    source.write_text(text, encoding="utf-8")
    done = tagmill("tag", source, "-o", goal)
    lines = read_lines(goal)
    assert len(lines) == 963
    assert [line["id"] for line in lines] == [
        f"p{number}"
        for number in range(1000)
        if number + (2 if kind == "csv" else 1) not in bad_lines
    ]
    assert all({"红色", "连衣裙"} <= {tag["name"] for tag in line["tags"]} for line in lines)
    rejects = read_lines(tmp_path / "out.jsonl.rejects.jsonl")
    assert [reject["line"] for reject in rejects] == bad_lines
    for reject in rejects:
        assert list(reject) == ["file", "line", "reason", "row"]
        assert reject["file"] == str(source)
        assert reject["reason"]
    assert "963 products tagged" in done.err
    assert "Could not be read: 37 rows." in done.err
    assert "out.jsonl.rejects.jsonl" in done.err
    tagmill("init", tmp_path / "w")
    counts = tagmill("catalog", "import", source, "-w", tmp_path / "w", "--json").json()
    assert (counts["new"], counts["rejected"]) == (963, 37)
    assert tagmill("tag", "-w", tmp_path / "w", "--json").json()["products"] == 963


WORKSPACE_COMMANDS = (
    ("catalog", "import", CATALOGUE), ("catalog", "sync", CATALOGUE), ("library", "list"),
    ("library", "import", CATALOGUE), ("library", "show", "颜色:红色"),
    ("library", "add", "颜色:红色"), ("library", "alias", "颜色:红色", "赤"),
    ("library", "retire", "颜色:红色"), ("library", "export", "library.csv"), ("train",),
    ("tag",), ("evaluate",), ("runs", "list"), ("runs", "show", 1), ("runs", "undo", 1),
    ("products", "list"), ("products", "show", "1"), ("review", "list"),
    ("review", "accept", "1", "颜色:红色"), ("review", "reject", "1", "颜色:红色"),
    ("export", "-o", "out.csv"), ("backup", "copy.db"),
)  # fmt: skip


@pytest.mark.parametrize("command", WORKSPACE_COMMANDS, ids=lambda c: " ".join(map(str, c[:2])))
def test_a_folder_that_is_no_workspace(tmp_path: Path, command: tuple[object, ...]) -> None:
    done = tagmill(*command, code=1, cwd=tmp_path)
    last = done.err.splitlines()[-1]
    assert last.startswith(f"tagmill: {tmp_path} is not a tagmill workspace")
    assert last.endswith("tagmill init")
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_whose_database_is_none(workspace: Path) -> None:
    database = workspace / "tagmill.db"
    database.write_bytes(b"this is no database, only some text of some length" * 100)
    assert "tagmill.db" in refusal("runs", "list", "-w", workspace)
    database.unlink()
    message = refusal("runs", "list", "-w", workspace)
    assert "tagmill.db" in message
    assert not database.exists()


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("precison = 0.9", "unknown setting 'tagging.precison'. Did you mean 'tagging.precision'?"),
        ("precision = 1.5", "'tagging.precision' is 1.5"),
        ('top_k = "many"', "'tagging.top_k' is 'many'"),
        ("top_k = ", "is not valid TOML"),
    ],
)
def test_a_wrong_setting(workspace: Path, setting: str, named: str) -> None:
    path = workspace / "tagmill.toml"
    text = path.read_text(encoding="utf-8").partition("[tagging]")[0]
    path.write_text(f"{text}[tagging]\n{setting}\n", encoding="utf-8")
    message = refusal("tag", "-w", workspace)
    assert message.startswith(str(path))
    assert named in message


def test_a_wrong_variable(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGMILL_TAGGING__TOPK", "5")
    assert "Did you mean 'tagging.top_k'?" in refusal("tag", "-w", workspace)


DAMAGES = {
    "a file is missing": lambda folder: (folder / "linear_postings.npy").unlink(),
    "a file is cut short": lambda folder: _cut(folder / "linear_postings.npy"),
    "a file is noise": lambda folder: (folder / "idf_weights.npy").write_bytes(b"noise" * 99),
    "another array": lambda folder: np.save(folder / "linear_bias.npy", np.zeros(3)),
    "the card is cut short": lambda folder: _cut(folder / "card.json"),
    "the card says nothing": lambda folder: (folder / "card.json").write_text("{}"),
    "the library is missing": lambda folder: (folder / "library.csv").unlink(),
    "the library is cut short": lambda folder: _cut(folder / "library.csv"),
    "the card is missing": lambda folder: (folder / "card.json").unlink(),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model(model: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(model, tmp_path / "model")
    source = write_lines(tmp_path / "in.jsonl", [DRESS])
    DAMAGES[damage](folder)
    for command in (("tag", source), ("evaluate", CATALOGUE)):
        message = refusal(*command, "--model", folder)
        assert str(folder) in message
        assert "is damaged" in message or "is not a model folder" in message


def test_a_damaged_model_of_a_workspace(own_shop: Path) -> None:
    (own_shop / "models" / "0001" / "first_feature.npy").unlink()
    assert "models/0001 is damaged" in refusal("tag", "-w", own_shop)


def test_no_model(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [DRESS])
    message = refusal("tag", source, "--model", tmp_path / "none")
    assert "none is not a model folder" in message
    assert "tagmill train" in message


def test_where_nothing_can_be_written(shop: Path, tmp_path: Path) -> None:
    """A folder below a file: also root cannot make it."""
    source = write_lines(tmp_path / "in.jsonl", [DRESS])
    below, missing = source / "below", tmp_path / "missing" / "out"
    for goal in (below, missing):
        for ending in (".jsonl", ".csv", ".parquet"):
            path = goal.with_suffix(ending)
            assert f"Cannot write '{path}'" in refusal("tag", source, "-o", path)
            assert f"Cannot write '{path}'" in refusal("export", "-o", path, "-w", shop)
        assert "Cannot write" in refusal("backup", goal, "-w", shop)
        assert "Cannot write" in refusal("library", "export", goal, "-w", shop)
        assert "Cannot write" in refusal("evaluate", CATALOGUE, "--html", goal)
    assert "Cannot write a model" in refusal("train", "--from", CATALOGUE, "-o", below)
    assert "below" in refusal("init", below)
    assert "unable to open" in refusal("export", "--to", f"sqlite:///{missing}", "-w", shop)
    assert not (tmp_path / "missing").exists()


def test_what_is_read_is_not_written_over(model: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "p.jsonl", [SHIRT])
    before = source.read_bytes()
    for command in (("tag", source, "-o", source), ("describe", "--file", source, "-o", source)):
        assert "is what is read, and would be replaced" in refusal(*command, "--model", model)
    assert source.read_bytes() == before


def test_a_language_that_no_name_is_in(shop: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "p.jsonl", [SHIRT])
    for command in (("tag", source), ("tag", "--text", "真丝衬衫"), ("tag", "-w", shop)):
        assert "No tag has a name in 'fr'" in refusal(*command, "--language", "fr", cwd=tmp_path)
    tagmill("tag", source, "--language", "zh-Hant", cwd=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("货号,标题\n1,红\n", "没有列 “id”，也没有“title”或“description”。现有的列：货号, 标题。"
         "请映射：--map id=货号 --map title=标题"),
        ("id,标题\n1,红\n", "没有列 “title”或“description”。"),
    ],
)  # fmt: skip
def test_all_missing_columns_are_said_at_once(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(content, encoding="utf-8")
    assert message in tagmill("tag", "x.csv", code=1, cwd=tmp_path, language="zh").err


def test_a_new_workspace_explains_itself_in_chinese(tmp_path: Path) -> None:
    tagmill("init", "a", "--empty", cwd=tmp_path, language="zh")
    settings = tmp_path / "a" / "tagmill.toml"
    said = settings.read_text(encoding="utf-8")
    for word in ("may", "What", "what", "your", "Your", "tags", "days", "instead"):
        assert not re.search(rf"# [^=]*\b{word}\b", said), word
    tagmill("init", "b", "--empty", cwd=tmp_path)
    other = (tmp_path / "b" / "tagmill.toml").read_text(encoding="utf-8")
    assert [line.partition("#")[0] for line in said.splitlines()] == [
        line.partition("#")[0] for line in other.splitlines()
    ]
    settings.write_text(said + "\n[catalog.map]\n", encoding="utf-8")
    done = tagmill("products", "list", "-w", tmp_path / "a", code=1, language="zh")
    assert "行又声明了一次 ('catalog', 'map')，请合并到同一处" in done.err


def test_errors_in_chinese(tmp_path: Path) -> None:
    done = tagmill("tag", "none.csv", code=1, cwd=tmp_path, language="zh")
    assert done.err == "tagmill: 没有文件 none.csv\n"


def test_values_out_of_range(shop: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [DRESS])
    for target in (("tag", source), ("tag", "-w", shop), ("tag", "--text", "red")):
        assert "Unknown lane 'best'. Known: auto, review, all" in refusal(*target, "--lane", "best")
        for precision in (1.5, 1, 0.5, -3):
            assert "between 0.5 and 1" in refusal(*target, "--precision", precision)
        assert "top_k is 0" in refusal(*target, "--top-k", 0)
    assert "between 0.5 and 1" in refusal("evaluate", CATALOGUE, "--precision", 1.5)


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    for command in (
        ("nothing",), ("tag", "--nothing"), ("tag", "--top-k", "many"), ("runs", "undo", "one"),
        ("products", "show"), ("library", "list", "--limit", 0), ("export", "--since", "then"),
    ):  # fmt: skip
        done = tagmill(*command, code=2, cwd=tmp_path)
        assert done.out == ""
        assert "Usage:" in done.err


def test_a_real_process_separates_results_from_messages(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [DRESS, {"id": "", "title": "x"}])
    done = tagmill_process("tag", source, "--json", cwd=tmp_path)
    assert done.code == 0
    (line,) = done.json()
    assert line["id"] == "d1"
    assert done.err.splitlines()[0].startswith("1 product tagged")
    assert "in.jsonl.rejects.jsonl" in done.err
    assert "Unknown lane" in check_refusal(
        tagmill_process("tag", source, "--lane", "best", cwd=tmp_path)
    )
    wrong = tagmill_process("tag", "--nothing", cwd=tmp_path)
    assert (wrong.code, wrong.out) == (2, "")
    version = tagmill_process("--version", cwd=tmp_path)
    assert (version.code, version.err) == (0, "")
    assert version.out.strip().count(".") == 2


def test_ctrl_c_within_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def kernel(error: BaseException) -> None:
        try:
            raise error
        except BaseException as cause:
            raise SystemError("CPUDispatcher returned a result with an exception set") from cause

    monkeypatch.setattr(cli, "app", lambda: kernel(KeyboardInterrupt()))
    assert tagmill(code=130).err == "tagmill: stopped; what was stored stays stored\n"
    monkeypatch.setattr(cli, "app", lambda: kernel(ValueError()))
    with pytest.raises(SystemError):
        cli.main()
