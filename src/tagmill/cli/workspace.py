"""`tagmill init` and `tagmill backup`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagmill.cli.llm import ProfileOption, profile_of
from tagmill.cli.messages import say
from tagmill.cli.terminal import AsJson, Workspace, note, open_workspace, print_json
from tagmill.errors import SettingsError
from tagmill.settings import SETTINGS_FILE, interface_language, load_settings

if TYPE_CHECKING:
    from tagmill.language.profiles import Profile

_TEMPLATE = """\
# A tagmill workspace. Every setting can also be a variable: TAGMILL_DATABASE__URL and so on.

[database]
# Products, library, tags and runs. PostgreSQL: postgresql+psycopg://user:password@host/name
url = "{url}"

[catalog.map]
# Your columns under our names, where they differ; attributes.X makes a column an attribute.
# title = "product_name"
# "attributes.品牌" = "brand"

[tagging]
precision = 0.95      # promised of the lane auto; the rest goes to review
top_k = 10            # tags kept per product
language = "product"  # of tag names: the product's own, or always "zh" or "en"

[library]
# min_support = 2       # products or searches; names of less are not shown as proposals
# auto_accept = false   # proposals, by a rule, where people's decisions show that it is right

[recommend]
# exclude = ["人群:成人", "stock=..0"] # tags and numbers whose products nobody is recommended
# half_life = 60.0      # days after which an event counts half
"""
_LLM = """
[llm]
# profile = "product" # what a row is: product, article, reply, or a folder of your own
# base_url = "http://localhost:8000/v1"  # OpenAI-compatible; the key: TAGMILL_LLM__API_KEY
# model = "qwen3-8b"
# gguf = "model.gguf" # instead of a server: llama.cpp in this process
# budget = 5.0        # of one run, in the currency of price_input and price_output
# near_duplicates = true # an answer holds for products that differ in other facets only

[privacy]
# send = ["title", "description", "category", "attributes"]  # what may leave the machine
# never = ["attributes.supplier"]                            # what never does
# redact = true       # personal data is replaced before it leaves
# offline = false     # true: only models on this machine may be asked
"""
# What the template says, for those who read tagmill in Chinese.
_CHINESE = {
    "A tagmill workspace. Every setting can also be a variable: TAGMILL_DATABASE__URL and so on.": (
        "tagmill 工作区。每个设置也可以写成环境变量，如 TAGMILL_DATABASE__URL。"
    ),
    "Products, library, tags and runs. PostgreSQL:": "商品、标签库、标签和批次。PostgreSQL：",
    "Your columns under our names, where they differ; attributes.X makes a column an attribute.": (
        "列名不同时，左边写我方字段，右边写你的列；attributes.X 把一列作为属性。"
    ),
    "promised of the lane auto; the rest goes to review": "自动发布通道承诺的精确率，其余待审核",
    "tags kept per product": "每件商品保留的标签数",
    'of tag names: the product\'s own, or always "zh" or "en"': (
        '标签名称的语言：随商品，或固定为 "zh"、"en"'
    ),
    "products or searches; names of less are not shown as proposals": (
        "支持的商品或搜索少于此数的新名称不显示"
    ),
    "proposals, by a rule, where people's decisions show that it is right": (
        "人的处理足以说明可靠时，按规则自动采纳提议"
    ),
    "tags and numbers whose products nobody is recommended": "有这些标签或数字的商品不推荐给任何人",
    "days after which an event counts half": "行为的影响减半所需的天数",
    "what a row is: product, article, reply, or a folder of your own": (
        "一行是什么：product（商品）、article（文章）、reply（答复），或自己的文件夹"
    ),
    "OpenAI-compatible; the key: TAGMILL_LLM__API_KEY": (
        "兼容 OpenAI 的服务；密钥写在 TAGMILL_LLM__API_KEY"
    ),
    "instead of a server: llama.cpp in this process": "代替服务：在本进程中运行 llama.cpp",
    "of one run, in the currency of price_input and price_output": (
        "一次运行的预算，货币与 price_input、price_output 相同"
    ),
    "an answer holds for products that differ in other facets only": (
        "仅在其他维度上不同的商品共用一条答复"
    ),
    "what may leave the machine": "可以离开本机的内容",
    "what never does": "绝不离开的内容",
    "personal data is replaced before it leaves": "个人信息在离开前换成占位符",
    "true: only models on this machine may be asked": "true：只能使用本机上的模型",
}


def _template() -> str:
    """The settings of a new workspace, explained in the terminal's language."""
    text = _TEMPLATE + _LLM
    for english, chinese in _CHINESE.items() if interface_language() == "zh" else ():
        text = text.replace(f"# {english}", f"# {chinese}")
    return text


def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if missing.")] = Path("."),
    database_url: Annotated[
        str | None,
        typer.Option(
            help="SQLAlchemy URL of the workspace's own database; a SQLite file if not given."
        ),
    ] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Leave the starter library out.")] = False,
    profile: ProfileOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a workspace: settings, a database, the starter library.

    Where the settings are there already, make the database they name.
    """
    from tagmill.language.profiles import open_profile
    from tagmill.language.prompts import check_prompts
    from tagmill.library.starter import starter_library
    from tagmill.store import open_store

    path = folder / SETTINGS_FILE
    is_new = not path.exists()
    if not is_new:
        _check_databaseless(folder, named=database_url is not None or profile is not None)
    rows = open_profile(profile or "product") if is_new else profile_of(folder, None)
    check_prompts(rows)
    library = starter_library(rows)

    if is_new:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(_settings_text(database_url, profile, rows), encoding="utf-8")
    try:
        with open_store(load_settings(folder).database_url, create=True) as store:
            if not empty:
                store.library.save(
                    list(library.tags.values()), list(library.facets.values()),
                    kind="import", who="tagmill", why="starter library",
                )  # fmt: skip
            tags = 0 if empty else len(library.tags)
    except BaseException:
        if is_new:
            path.unlink()
        raise
    if as_json:
        print_json({"workspace": str(folder.resolve()), "tags": tags})
        return
    typer.echo(say("initialised", path=folder.resolve(), tags=tags))
    typer.echo(say("next"))
    typer.echo("  tagmill catalog import products.csv\n  tagmill train\n  tagmill tag")


def _check_databaseless(folder: Path, *, named: bool) -> None:
    """SettingsError where a workspace has its database, or other settings are `named` for it."""
    from tagmill.store import has_store

    path = folder / SETTINGS_FILE
    if has_store(load_settings(folder).database_url):
        raise SettingsError(f"{path} is there already. Work in {folder}, or name another folder")
    if named:
        raise SettingsError(
            f"{path} is there already, and names the database and the profile. Change them there, "
            "then: tagmill init, without these options"
        )


def _settings_text(database_url: str | None, profile: str | None, rows: Profile) -> str:
    """A new tagmill.toml."""
    from tagmill.language.profiles import shipped_profiles

    text = _template().replace("{url}", database_url or "sqlite:///tagmill.db")
    if profile is None:
        return text
    named = profile if profile in shipped_profiles() else str(rows.folder.resolve())
    written = json.dumps(named, ensure_ascii=False)
    return text.replace('# profile = "product" #', f"profile = {written}  #")


def backup(
    file: Annotated[Path, typer.Argument(help="The copy; it must not exist.")],
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Copy the workspace's database to one file, also while others write to it.

    Models are not in it: copy the folder models as well.
    """
    with open_workspace(workspace) as (settings, store):
        store.backup(file)
    if as_json:
        print_json({"backup": str(file), "bytes": file.stat().st_size})
        return
    note(say("backed_up", path=file))
    if settings.models_dir.exists():
        note(say("models_apart", path=settings.models_dir))
