"""Help pages and usage errors in Chinese, for those who read tagmill in Chinese.

Commands say in English what they do; in a Chinese terminal the texts are replaced before a page is
shown. So commands stay as they are read, and English pages cost nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.text import Text
from typer import rich_utils

from tagmill.chinese import in_chinese

__all__ = ["HELP", "USAGE", "chinese_pages", "run_in_chinese"]

HELP: dict[str, str] = {
    "Turn a product catalogue into tags people can trust: canonical, calibrated, with evidence.": (
        "把商品目录变成可信的标签：规范、概率经过校准、有依据。"
    ),
    "Print it.": "输出版本号。",
    "Install completion for the current shell.": "为当前 shell 安装补全。",
    "Show completion for the current shell, to copy it or customize the installation.": (
        "显示当前 shell 的补全脚本，可复制或自行安装。"
    ),
    "Show this message and exit.": "显示本页并退出。",
    # workspace, train, tune, learn, distil
    "Make a workspace: settings, a database, the starter library.\n\n"
    "Where the settings are there already, make the database they name.": (
        "新建工作区：设置、数据库、入门标签库。\n\n设置已存在时，新建其中指定的数据库。"
    ),
    "Where; made if missing.": "位置；没有则新建。",
    "SQLAlchemy URL of the workspace's own database; a SQLite file if not given.": (
        "工作区自己的数据库的 SQLAlchemy URL；不指定则为 SQLite 文件。"
    ),
    "Leave the starter library out.": "不放入门标签库。",
    "What a row is: product, article, reply, or a folder of your own.": (
        "一行是什么：product 商品、article 文章、reply 语音回复，或自己的文件夹。"
    ),
    "Print JSON.": "输出 JSON。",
    "Train a model from tagged products: of the workspace, or of a file alone.": (
        "用已有标签的商品训练模型：工作区的，或单独一个文件的。"
    ),
    "Tagged products in a file; default: the workspace's.": (
        "文件中已有标签的商品；默认用工作区的。"
    ),
    "Model folder, with --from.": "模型文件夹，与 --from 同用。",
    "Same data and seed, same model.": "数据和种子相同，模型就相同。",
    "With --from: spellings of one normal form are one tag.": (
        "与 --from 同用：规范形式相同的写法算一个标签。"
    ),
    "A further source for the fusion, by name; repeatable.": "融合的另一个来源，按名称；可重复。",
    "Read a column under our name: title=product_name.": (
        "按我们的名称读取某列：title=product_name。"
    ),
    "Folder with tagmill.toml, or one below it.": "有 tagmill.toml 的文件夹，或其下的文件夹。",
    "Train like `train`, with the options that do best on a held-out fifth.": (
        "与 `train` 相同，并选用在留出的五分之一上最好的选项。"
    ),
    "Tagged products; default: the workspace's.": "已有标签的商品；默认用工作区的。",
    "Model folder, with a file.": "模型文件夹，指定文件时用。",
    "Time for all of it.": "总共可用的时间（分钟）。",
    "At most so many.": "最多这么多。",
    "To raise: micro_f1, ndcg_at_5, coverage_at_095.": (
        "要提高的指标：micro_f1、ndcg_at_5、coverage_at_095。"
    ),
    "Same data, seed and number of trials, same model.": "数据、种子、尝试次数相同，模型就相同。",
    "With a file: spellings of one normal form are one tag.": (
        "指定文件时：规范形式相同的写法算一个标签。"
    ),
    "Update a trained model with people's verdicts, in seconds and without training it anew.\n\n"
    'A line of the file is a product with one judged tag: {"id", "title", …, "tag": "facet:name",\n'
    '"accepted": true}.': (
        "用人工裁定更新训练好的模型，只需几秒，不必重新训练。\n\n"
        '文件每行是一个商品和一个裁定过的标签：{"id", "title", …, "tag": "维度:名称",\n'
        '"accepted": true}。'
    ),
    "Verdicts (.jsonl); default: the workspace's since its last model.": (
        "裁定（.jsonl）；默认用工作区上次模型之后的。"
    ),
    "Other folder for the learned model.": "把学习后的模型存到另一个文件夹。",
    "Train a small model on a large one's answers, about the products worth asking about.\n\n"
    "Give it the products that people have tagged too (--from): they weigh more. Repeat it with "
    "the\nnew model: what that one was taught is learned again for nothing, and others are asked "
    "about.": (
        "挑出值得询问的商品，用大模型的回答训练小模型。\n\n"
        "也可给出人工打过标签的商品（--from）：它们的权重更高。可用新模型再做一次：\n"
        "它学过的会免费再学一遍，并另外询问其他商品。"
    ),
    "Products to choose from; file or SQL URL.": "供挑选的商品；文件或 SQL URL。",
    "Model folder: chooses, and gives its library.": "模型文件夹：用来挑选，并提供标签库。",
    "Folder of the new model.": "新模型的文件夹。",
    "Products to ask about.": "询问多少商品。",
    "Products that people have tagged, at least two: learnt too.": (
        "人工打过标签的商品，至少两个：一并学习。"
    ),
    "Tagged products to measure both models on.": "用来评估两个模型的已有标签的商品。",
    "Each round's student chooses for the next; default 6, in batch files 1.": (
        "每轮训练出的模型为下一轮挑选；默认 6，批量文件为 1。"
    ),
    # large models
    "OpenAI-compatible server, with its /v1.": "兼容 OpenAI 的服务器，含 /v1。",
    "Model of the server, a .gguf file, or scripted.": "服务器上的模型、.gguf 文件，或 scripted。",
    "Money a run may cost, in the currency of the prices.": (
        "一次运行最多花费，货币与价格设置相同。"
    ),
    "Where answers are kept, so that none is paid twice.": "保存回答的位置，同一回答不会付两次费。",
    "Write the requests there, in OpenAI's batch format.": "把请求写到此文件，OpenAI 批量格式。",
    "Take answers from there; may be given again.": "从此文件读取回答；可重复。",
    "Forecast what `tag --llm` will cost: products, calls, tokens, money and time.\n\nNothing is "
    "sent. Tokens are estimated from a sample of the requests, and what the store has\nanswers to "
    "costs nothing.": (
        "预测 `tag --llm` 的花费：商品、请求、token、金额和时间。\n\n"
        "不发送任何内容。token 数由部分请求估计，已存有回答的\n不再花费。"
    ),
    "all, or cascade (the doubtful).": "all 全部，或 cascade（只问存疑的）。",
    "Share of the products that cascade asks about.": "cascade 询问的商品比例。",
    "Tag a file to the terminal or a file; or, without one, the workspace's products.\n\nIn a "
    "workspace only products that are new, changed, or were tagged by another model or library\n"
    "are tagged, and the tags are stored as a run that can be undone.": (
        "给文件中的商品打标签，输出到终端或文件；不指定文件则给工作区的商品打。\n\n"
        "在工作区中只处理新的、有变化的、或由其他模型或标签库打过的商品，\n"
        "标签存为一个可撤销的批次。"
    ),
    "File or SQLAlchemy URL; default: the workspace's products.": (
        "文件或 SQLAlchemy URL；默认是工作区的商品。"
    ),
    "Tag this text instead of a file.": "给这段文字打标签，不用文件。",
    "Model folder; default for a file: the starter library.": (
        "模型文件夹；指定文件时默认用入门标签库。"
    ),
    "Write .jsonl, .parquet or .csv.": "写成 .jsonl、.parquet 或 .csv。",
    "At most so many tags a product.": "每个商品最多这么多标签。",
    "auto; review (auto and review); all (the top k, however improbable).": (
        "auto 自动发布；review（含待审核）；all（概率再低也取前 k 个）。"
    ),
    "Promised of the lane auto; default 0.95.": "自动发布通道承诺的精确率；默认 0.95。",
    "Promise it of each facet by itself.": "对每个维度分别承诺。",
    "Cover facets: no near-duplicates, usual counts.": "覆盖各维度：没有近似重复，数量合乎惯例。",
    "Also the broader tags that narrower ones imply.": "也输出窄标签所蕴含的上位标签。",
    "Of tag names: product, zh, en …; default product.": (
        "标签名称的语言：product（随商品）、zh、en …；默认 product。"
    ),
    "In a workspace: also products a person has tagged.": "在工作区中：人工打过标签的商品也打。",
    "Ask a large language model about: off, all, or cascade (the doubtful).": (
        "询问大模型：off 不问、all 全部、cascade（只问存疑的）。"
    ),
    "No proposals of names that are not in the library.": "不提议标签库中没有的名称。",
    "Propose new names found in the texts, without an LLM.": "不用大模型，从文本中提议新名称。",
    "Of the workspace's library, as it was at this version.": "用工作区标签库在此版本时的样子。",
    "Table of a SQL source.": "SQL 来源的表。",
    "Query of a SQL source, instead of a table.": "SQL 来源的查询，代替表。",
    "Have a large language model write fuller descriptions, every sentence checked.\n\nWhat the "
    "product's own text does not say is flagged and left out of the text. In a workspace\nthe "
    "descriptions are stored apart from the merchant's own.": (
        "让大模型写更完整的描述，逐句核对。\n\n"
        "商品资料没有说的会标出，并从正文去掉。在工作区中，\n描述与商家自己的分开保存。"
    ),
    "Ids of the workspace's products.": "工作区商品的编号。",
    "All products of the workspace.": "工作区的全部商品。",
    "The products of a file or SQL URL.": "文件或 SQL URL 中的商品。",
    "Describe the product of this text.": "描述这段文字所说的商品。",
    "Write JSON Lines there.": "把 JSON Lines 写到此文件。",
    "Model folder: knows similar products and tags.": "模型文件夹：用来找相似商品和标签。",
    "product, zh or en.": "product（随商品）、zh 或 en。",
    "Where it will stand: livestream …": "用在哪里：livestream …",
    "Such as winter.": "例如 winter。",
    "Why a product has a tag, or has it not: sources, words, names.": (
        "商品为什么有（或没有）某标签：来源、词、名称。"
    ),
    "Id of the product; with --text leave it out.": "商品编号；用 --text 时不写。",
    "facet:name in any language, or id.": "任一语言的 维度:名称，或 id。",
    "Explain a tag of this text.": "解释这段文字的标签。",
    "File that has the product; default: the workspace.": "商品所在的文件；默认是工作区。",
    "Model folder; default: the workspace's, for a file or a text the starter library.": (
        "模型文件夹；默认用工作区的，对文件或文字用入门标签库。"
    ),
    "Measure a model on products whose tags are known, beside the lexicon alone.": (
        "在标签已知的商品上评估模型，并与单用词典比较。"
    ),
    "Tagged products; default: a fifth of the workspace's.": (
        "已有标签的商品；默认取工作区的五分之一。"
    ),
    "Model folder; default: none.": "模型文件夹；默认没有。",
    "Promise of the lane auto to check.": "要核对的自动发布通道的承诺。",
    "Count proposed names too; needs a file and --model.": (
        "也计入提议的名称；需要文件和 --model。"
    ),
    "Write a report with plots.": "写出带图的报告。",
    "Of the split, without a file.": "不指定文件时，划分所用的种子。",
    # search, recommend, export, backup, catalogue
    "Address to listen at.": "监听的地址。",
    "Its port; 0: any free one.": "端口；0 为任一空闲端口。",
    "Answer searches, recommendations and events over HTTP, and show a page of them.\n\nThe page "
    "is at /, the API below /v1 (described in /openapi.json). Others than this machine\nneed a "
    'key: TAGMILL_SERVE__KEY, sent as "Authorization: Bearer KEY".': (
        "通过 HTTP 提供搜索、推荐和行为记录，并有一个页面可看。\n\n页面在 /，接口在 /v1 之下"
        "（说明见 /openapi.json）。\n除本机外，访问需要密钥：设置 TAGMILL_SERVE__KEY，请求附上 "
        "Authorization: Bearer 密钥。"
    ),
    "Find products by words and tags, with facets and reasons.": (
        "按词和标签查找商品，附维度计数和理由。"
    ),
    "Words and tags in any language; -皮, 不要, without; 500ml以下.": (
        "任一语言的词和标签；-皮、不要、without；500ml以下。"
    ),
    "Only these; several of a facet: any of them.": "只要这些；同一维度可有几个，符合其一即可。",
    "Products of a page.": "每页的商品数。",
    "relevance, newest, popular, id, or a number: price, -price.": (
        "relevance 相关、newest 最新、popular 热门、id，或某个数字：price 升序，-price 降序。"
    ),
    "Only these: price=100..500, stock=1.. .": "只要这些：price=100..500、stock=1.. 。",
    "The next page: `next` of this one.": "下一页：本页的 `next`。",
    "Products that match any part, not all of it.": "符合任一部分即可，不必全部符合。",
    "How a query that begins so goes on.": "以此开头的查询如何补全。",
    "Build the index anew.": "重建索引。",
    "Keep the query: it shows what tags are missing.": "记录查询：可看出缺哪些标签。",
    "Products for a user, or beside a product, each with why.": (
        "推荐给用户的、或与某商品相近的商品，附理由。"
    ),
    "For this user.": "给这位用户。",
    "Beside this product.": "与此商品相近的。",
    "Nothing with this tag, or stock=..0; repeatable.": (
        "不要有此标签的，或数字在此范围内的（stock=..0）；可重复。"
    ),
    "Fit it anew first.": "先重新拟合。",
    "Write the stored tags to a file, or beside the products of a database.": (
        "把存储的标签写到文件，或写到数据库里商品的旁边。"
    ),
    "Write .parquet, .jsonl or .csv.": "写成 .parquet、.jsonl 或 .csv。",
    "SQLAlchemy URL of the database to write.": "要写入的数据库的 SQLAlchemy URL。",
    "Table there; made if missing, one row a product and tag.": (
        "其中的表；没有则新建，每个商品的每个标签一行。"
    ),
    "Only products whose tags changed after this cursor.": "只要标签在此游标之后有变化的商品。",
    "auto, or review for both.": "auto 自动发布，或 review（含待审核）。",
    "Documents for an engine: elasticsearch, meilisearch, typesense or gorse.": (
        "供引擎使用的文档：elasticsearch、meilisearch、typesense 或 gorse。"
    ),
    "Copy the workspace's database to one file, also while others write to it.\n\n"
    "Models are not in it: copy the folder models as well.": (
        "把工作区的数据库复制成一个文件，即使有人正在写入。\n\n"
        "其中没有模型：请同时复制文件夹 models。"
    ),
    "The copy; it must not exist.": "副本；不能已存在。",
    "Take products out of files and databases.": "从文件和数据库读取商品。",
    "Add products, or bring them up to date; what the source lacks stays as it is.\n\n"
    "So do fields that it has no column for: a file of id and price changes prices alone.": (
        "添加或更新商品；来源中没有的保持不变。\n\n"
        "来源没有的列，其字段也保持不变：只有编号和价格的文件只更新价格。"
    ),
    "CSV, TSV, JSON Lines or Parquet file, or a SQLAlchemy URL.": (
        "CSV、TSV、JSON Lines 或 Parquet 文件，或 SQLAlchemy URL。"
    ),
    "Bring the workspace in line with a complete source: new, changed and discontinued.\n\n"
    "Fields that it has no column for stay as they are.\n\n"
    "A discontinued product keeps its history and leaves the output; it may come back.": (
        "使工作区与完整的来源一致：新增、变化、下架。\n\n"
        "来源没有的列，其字段保持不变。\n\n"
        "下架的商品保留历史，不再输出；以后可以恢复。"
    ),
    "Also where more than half of the products go.": "即使会下架一半以上的商品也执行。",
    # library
    "Govern the tag library.": "管理标签库。",
    "The tags, with how many products have each.": "全部标签，以及各有多少商品。",
    "Only this facet.": "只看此维度。",
    "Only names that contain this.": "只看名称含此内容的。",
    "One tag: names, aliases, status, how many products have it.": (
        "一个标签：名称、别名、状态、多少商品有它。"
    ),
    "Add the tags of a file, or change those there are; products it touches are tagged again.\n\n"
    "A tag is met again by its id, by its id in that taxonomy, or by facet:name. What was merged "
    "or\nretired stays so.": (
        "添加文件中的标签，或改动已有的；受影响的商品会重新打标签。\n\n"
        "标签按 id、按其在该分类中的 id，或按 维度:名称 对应。已合并或停用的\n保持原样。"
    ),
    "A file; a folder for shopify and google.": "文件；shopify 和 google 可用文件夹。",
    "csv, skos, shopify or google.": "csv、skos、shopify 或 google。",
    "Of the canonical names, in formats of several.": "多语言格式中规范名称所用的语言。",
    "The reason, kept in the history.": "理由，记在历史中。",
    "Only say what would change, product by product.": "只列出会有什么变化，逐个商品。",
    "Leave touched products to the next `tagmill tag`.": "受影响的商品留到下次 `tagmill tag`。",
    "Write the library; `library import` reads csv, skos, shopify and google back.": (
        "写出标签库；csv、skos、shopify、google 可由 `library import` 读回。"
    ),
    "To write; a folder for shopify.": "要写的文件；shopify 为文件夹。",
    "csv, skos, shopify, google, elasticsearch, meilisearch or typesense.": (
        "csv、skos、shopify、google、elasticsearch、meilisearch 或 typesense。"
    ),
    "Tags that mean the same, each pair with reasons, a probability, and what merges it.": (
        "同义的标签，每对附理由、概率和合并命令。"
    ),
    "Also tags of two facets.": "也比较不同维度的标签。",
    "That they mean the same.": "同义的概率下限。",
    "At most so many pairs; in the terminal 50.": "最多这么多对；终端默认 50。",
    "A library as CSV, instead of the workspace's.": "用 CSV 标签库，代替工作区的。",
    "Ask a large language model about pairs in doubt.": "存疑的对询问大模型。",
    "Also what an encoder finds near (llm.encoder).": "也找编码模型认为相近的（llm.encoder）。",
    "How the library fares: unused, redundant and falling tags, each with what mends it.": (
        "标签库体检：无用、冗余、变差的标签，各附修复命令。"
    ),
    "Also write a page.": "同时写出网页。",
    "New names that wait for a decision, the most useful first.": "待裁决的新名称，最有用的在前。",
    "Also those decided.": "也列出已裁决的。",
    "Products or searches.": "商品数或搜索数的下限。",
    "Propose a name that the library lacks.": "提议标签库没有的名称。",
    "The name.": "名称。",
    "A product that has it, by id; repeatable.": "有它的商品的编号；可重复。",
    "Make a proposal a tag.": "把提议变成标签。",
    "Its number.": "提议的编号。",
    "Another facet than suggested.": "不用建议的维度，用另一个。",
    "Another name; this one is an alias.": "另取名称；原名成为别名。",
    "Make a proposal another name of a tag.": "把提议变成某标签的另一个名称。",
    "That it is another name of.": "它是哪个标签的另一个名称。",
    "Refuse a proposal for ever.": "永久拒绝提议。",
    "Add a tag; it is found at once, with an honest probability, without training.": (
        "添加标签；马上就能找到，概率如实，不必训练。"
    ),
    "The canonical name.": "规范名称。",
    "Chinese name.": "中文名称。",
    "English name.": "英文名称。",
    "Another name; repeatable.": "另一个名称；可重复。",
    "What it covers.": "涵盖什么。",
    "A tag that it implies; repeatable.": "它所蕴含的标签；可重复。",
    "Of a facet that is spelled much like another.": "维度名与已有的很像，但确是新的。",
    "Give a tag one more name, or take one away.": "给标签加一个名称，或去掉一个。",
    "Take it away: an alias, or a name in a language.": "去掉它：别名，或某种语言的名称。",
    "Say what a tag covers; a language model reads it.": "说明标签涵盖什么；大模型会读到。",
    "What it covers; '' for none.": "涵盖什么；'' 表示不说明。",
    "The other name.": "另一个名称。",
    "Give a tag another name; the former one stays an alias, the id stays.": (
        "给标签改名；旧名留作别名，id 不变。"
    ),
    "The new name, without a facet.": "新名称，不带维度。",
    "The name of this language (zh, en …), not the canonical.": (
        "改此语言（zh、en …）的名称，而非规范名称。"
    ),
    "Make two tags one: the source's names become aliases of the target for ever.": (
        "合并两个标签：来源的名称永久成为目标的别名。"
    ),
    "The tag that goes.": "并入的标签。",
    "The tag that stays.": "留下的标签。",
    "Retire a tag in favour of several; what people accepted of it goes to review.": (
        "停用一个标签，改用几个；人工接受过的转入待审核。"
    ),
    "Two or more tags, new or there.": "两个以上标签，新的或已有的。",
    "Take a tag out of use; its id is never given to another.": (
        "停用标签；它的 id 不会再给别的标签。"
    ),
    "Bring a retired tag back.": "恢复停用的标签。",
    "Put a tag into another facet, or below another tag.": (
        "把标签移到另一个维度，或另一个标签之下。"
    ),
    "Into this facet.": "移到此维度。",
    "Below this tag; repeatable.": "移到此标签之下；可重复。",
    "Below none.": "不在任何标签之下。",
    "Say how a facet is used: one value or many, for which products, words or quantities.": (
        "说明维度怎么用：单值或多值、用于哪些商品、名称是文字还是数量。"
    ),
    "In any language.": "任一语言。",
    "One value a product.": "每个商品一个值。",
    "Many values a product.": "每个商品可有多个值。",
    "Only for products of this tag; repeatable; '' for all.": (
        "只用于有此标签的商品；可重复；'' 表示全部商品。"
    ),
    "text, number or range: whether its names are quantities, compared in any unit.": (
        "text、number 或 range：名称是否为数量，数量可用任何单位比较。"
    ),
    "That of a bare number: ml, 岁 …": "不带单位的数字所用的单位：ml、岁 …",
    "Every change of the library: what, who, when, why, and whether it was undone.": (
        "标签库的每次改动：内容、谁、何时、为何、是否已撤销。"
    ),
    "Only of this tag.": "只看此标签的。",
    "The newest so many.": "最新的这么多个。",
    "What differs between two versions of the library, in its facets and its tags.": (
        "标签库两个版本在维度和标签上的差别。"
    ),
    "A version of the library.": "标签库的一个版本。",
    "Another one; default: the newest.": "另一个版本；默认是最新的。",
    "Take a change back exactly, with the tagging it caused; later changes may forbid it.": (
        "完全撤销一次改动及其引起的打标签；后来的改动可能使它不能撤销。"
    ),
    "Its version; default: the latest.": "改动的版本；默认是最近一次。",
    # llm, prompt, profiles, privacy, review, runs, products, events, users
    "Large language models.": "大模型。",
    "Try what a large language model honours, how fast it is and what it costs.": (
        "试出大模型支持什么、速度和价格。"
    ),
    "Learn what a large language model's answers are worth, so that its tags can be auto.\n\nIt is "
    "asked about a sample of products whose tags are known; then `tag --llm` gives its answers\na "
    "calibrated probability, and the lane auto holds what it promises.": (
        "学习大模型的回答有多可信，使它的标签可以自动发布。\n\n"
        "向它询问一部分标签已知的商品；之后 `tag --llm` 给它的回答\n"
        "以校准过的概率，自动发布通道也守住承诺。"
    ),
    "Tagged products the model was not trained on.": "模型没有训练过的、已有标签的商品。",
    "Model folder; what is learned is put into it.": "模型文件夹；学到的存入其中。",
    "Ask about so many of them.": "询问其中这么多个。",
    "Of the sample.": "抽样所用的种子。",
    "What a large language model is asked.": "向大模型问了什么。",
    "Print exactly what `tag --llm all` or `describe` would send of a product; send nothing.\n\n"
    "First the fixed part of the prompt, then a line ===, then the part with the product. What "
    "may\nnot leave is left out where the model that is set runs on another machine.": (
        "原样输出 `tag --llm all` 或 `describe` 会就一个商品发送的内容；不发送。\n\n"
        "先是提示词的固定部分，然后一行 ===，再是含商品的部分。所设模型在别的机器上时，\n"
        "不许外发的内容已去掉。"
    ),
    "Id of a product of the workspace, or a text.": "工作区商品的编号，或一段文字。",
    "propose, verify (a --tag) or describe.": (
        "propose 提议、verify 核实（某个 --tag）或 describe 描述。"
    ),
    "Tag to be verified: facet:name in any language, or id.": (
        "要核实的标签：任一语言的 维度:名称，或 id。"
    ),
    "Model folder; default: the profile's starter library.": (
        "模型文件夹；默认用该类内容的入门标签库。"
    ),
    "Products, articles, replies, or rows of your own.": "商品、文章、语音回复，或自己的行。",
    "The profiles that come with tagmill, and the workspace's own.": (
        "tagmill 自带的和工作区自己的内容类型。"
    ),
    "What may leave the machine, and what has.": "什么可以离开本机，什么已经离开。",
    "Show what would be sent of a product: fields that may leave, personal data replaced.": (
        "显示一个商品会发送什么：可外发的字段，个人信息已替换。"
    ),
    "Show what was sent to large language models, when, and to whom.\n\nOut of the workspace's "
    "database, where there is one, and of the file of answers. Requests that\nwent into a batch "
    "file are there too, with the file they stand in.": (
        "显示何时向哪个大模型发送过什么。\n\n"
        "取自工作区的数据库（如有）和保存回答的文件。写入批量文件的请求\n也在其中，附文件名。"
    ),
    "Only of this product's id.": "只看此编号的商品。",
    "At most so many calls, the newest.": "最多这么多次请求，取最新的。",
    "Decide what the machine left open.": "裁定机器没有把握的。",
    "What waits for a verdict, the most uncertain first.": "待裁定的，最没有把握的在前。",
    "The product has the tag; no run will take it away.": "商品有此标签；任何批次都不会去掉。",
    "Id of the product.": "商品编号。",
    "Why.": "理由。",
    "The product does not have the tag; no run will give it.": (
        "商品没有此标签；任何批次都不会加上。"
    ),
    "Leave it undecided again: what runs and the catalogue say counts, as before a verdict.": (
        "撤回裁定，恢复为未裁定：以批次和商品目录所说为准。"
    ),
    "Look at tagging runs, and undo one.": "查看打标签的批次，或撤销其一。",
    "All runs, the newest first.": "全部批次，最新的在前。",
    "One run: versions, settings, counts.": "一个批次：版本、设置、数量。",
    "Number of the run.": "批次编号。",
    "Give every product of a run the tags it had before; verdicts stay.": (
        "把批次中每个商品恢复为之前的标签；裁定保留。"
    ),
    "Look at products.": "查看商品。",
    "Products with their current tags: probability, lane and evidence.\n\nWithout ids the first "
    "ones that have tags.": (
        "商品及其当前标签：概率、通道和依据。\n\n不写编号时，列出前几个有标签的。"
    ),
    "These; default: the first ones.": "这些商品；默认是前几个。",
    "A product as it is stored, with its current tags.": "存储的商品及其当前标签。",
    "What people did with products.": "用户对商品的行为。",
    "Add events: user, product, kind (view, cart, purchase, like, dislike), at, and query.\n\nThe "
    "query is the search that an event came from, if any; rows of the kind search are logged.": (
        "添加行为：user、product、kind（view、cart、purchase、like、dislike）、at 和 query。\n\n"
        "query 是行为所来自的搜索（如有）；kind 为 search 的行记为搜索。"
    ),
    "CSV, JSON Lines or Parquet file, or a SQLAlchemy URL.": (
        "CSV、JSON Lines 或 Parquet 文件，或 SQLAlchemy URL。"
    ),
    "Add one event, as a shop's page would post it: it counts in the next recommendation.": (
        "添加一个行为，如同店铺页面上报的：下一次推荐就会用到。"
    ),
    "Its id.": "编号。",
    "view, cart, purchase, like or dislike.": (
        "view 浏览、cart 加购、purchase 购买、like 喜欢或 dislike 不喜欢。"
    ),
    "When, ISO 8601 or seconds; else now.": "时间，ISO 8601 或秒；不写则为现在。",
    "The search that it came from.": "行为所来自的搜索。",
    "What is known of a user.": "对一位用户所知的。",
    "Delete everything of a user: events, what was fitted with them, words they proposed.": (
        "删除一个用户的全部数据：行为、由此拟合出的结果、由此提出的新词。"
    ),
    "A product's tags in the order in which they speak to a user.": (
        "商品的标签，按对一位用户的吸引力排序。"
    ),
}

# What the parser of commands says: {0}, {1} … are the values.
USAGE: dict[str, str] = {
    "No such command '{0}'.": "没有命令“{0}”。",
    "No such command '{0}'. Did you mean {1}?": "没有命令“{0}”。您是否指 {1}？",
    "No such option: {0}": "没有选项 {0}",
    "No such option: {0} Did you mean {1}?": "没有选项 {0}，您是否指 {1}？",
    "No such option: {0} (Possible options: {1})": "没有选项 {0}（相近的选项：{1}）",
    "Missing command.": "缺少命令。",
    "Missing argument '{0}'.": "缺少参数“{0}”。",
    "Missing argument {0}.": "缺少参数 {0}。",
    "Missing option '{0}'.": "缺少选项“{0}”。",
    "Missing option {0}.": "缺少选项 {0}。",
    "Option '{0}' requires an argument.": "选项“{0}”需要一个值。",
    "Option '{0}' does not take a value.": "选项“{0}”不带值。",
    "Got unexpected extra argument(s) ({0})": "多余的参数（{0}）",
    "Invalid value for '{0}': Input should be greater than or equal to {1}": (
        "“{0}”的值无效：应大于或等于 {1}"
    ),
    "Invalid value for '{0}': Input should be less than or equal to {1}": (
        "“{0}”的值无效：应小于或等于 {1}"
    ),
    "Invalid value for '{0}': Input should be a valid integer, unable to parse string as an "
    "integer": "“{0}”的值无效：应为整数",
    "Invalid value for '{0}': Input should be a valid number, unable to parse string as a "
    "number": "“{0}”的值无效：应为数字",
    "Invalid value for '{0}': {1}": "“{0}”的值无效：{1}",
    "Invalid value: {0}": "值无效：{0}",
}
_FRAME = {
    "ARGUMENTS_PANEL_TITLE": "参数",
    "OPTIONS_PANEL_TITLE": "选项",
    "COMMANDS_PANEL_TITLE": "命令",
    "ERRORS_PANEL_TITLE": "错误",
    "ABORTED_TEXT": "已中止。",
    "DEFAULT_STRING": "[默认：{}]",
    "REQUIRED_LONG_STRING": "[必填]",
    "RICH_HELP": "用法见 [blue]'{command_path} {help_option}'[/]。",
}


def run_in_chinese(app: typer.Typer) -> None:
    """Run a command line as `app()` does, with its help pages and usage errors in Chinese."""
    command = typer.main.get_command(app)
    with chinese_pages(command):
        try:
            code = command.main(standalone_mode=False)
        except typer.Abort:
            rich_utils.rich_abort_error()
            sys.exit(1)
        except Exception as error:
            if not hasattr(error, "format_message"):  # none of the parser's
                raise
            message = in_chinese(error.format_message(), USAGE)
            error.format_message = lambda: message
            rich_utils.rich_format_error(error)  # type: ignore[arg-type]
            sys.exit(getattr(error, "exit_code", 2))
    sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def chinese_pages(command: Any) -> Iterator[None]:  # noqa: ANN401  (of the parser Typer brings)
    """Have the texts of a command, of all below it and of what stands around them in Chinese."""
    make_text = rich_utils._make_rich_text

    def make_folded(**options: Any) -> Any:  # noqa: ANN401
        made = make_text(**options)
        if isinstance(made, Text):  # without spaces: what is wider than its column is cut off
            made.overflow = "fold"
        return made

    ours = {**_FRAME, "_make_rich_text": make_folded}
    theirs = {name: getattr(rich_utils, name) for name in ours}
    _replace(command)
    try:
        for name, value in ours.items():
            setattr(rich_utils, name, value)
        yield
    finally:
        for name, value in theirs.items():
            setattr(rich_utils, name, value)


def _replace(command: Any) -> None:  # noqa: ANN401
    own = command.get_help_option(typer.Context(command))
    for holder in (command, own, *command.params):
        for name in ("help", "short_help"):
            text = getattr(holder, name, None)
            if text:
                setattr(holder, name, HELP.get(text, text))
    for inner in getattr(command, "commands", {}).values():
        _replace(inner)
