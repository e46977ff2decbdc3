"""Errors in Chinese, for those who read tagmill in Chinese.

The package raises errors in English, whoever uses it; the command line says them in the terminal's
language, the service in that of the request. An English message is met again by its form, and its
values go into the Chinese one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from tagmill.settings import interface_language

__all__ = ["ERRORS", "in_chinese", "say_error"]

# {0}, {1} … are the values, in the order of the English message.
ERRORS: dict[str, str] = {
    # products in and out
    "A product has no field '{0}' to map '{1}' to.{2} Fields: {3}, and attributes.NAME or "
    "numbers.NAME for one of them": (
        "商品没有字段“{0}”，“{1}”无法映射到它。{2}字段有：{3}，单个属性或数字写作 attributes.名称、"
        "numbers.名称"
    ),
    "Product {0} cannot be used: {1}. It is {2}": "第 {0} 件商品不能用：{1}。它是 {2}",
    "no title and no description": "没有标题，也没有描述",
    "{0} has no column {1}. Columns: {2}{3}": "{0} 没有列 {1}。现有的列：{2}{3}",
    "{0} has no column {1}. Columns: {2}. Map it with: {3}": (
        "{0} 没有列 {1}。现有的列：{2}。请映射：{3}"
    ),
    "'title' or 'description'": "“title”或“description”",
    "'id', 'title' or 'description'": "“id”，也没有“title”或“description”",
    "{0} has no column '{1}', which is mapped to {2}. Columns: {3}": (
        "{0} 没有映射到 {2} 的列“{1}”。现有的列：{3}"
    ),
    "{0} has {1} columns named '{2}'. Rename all but one": (
        "{0} 有 {1} 个名为“{2}”的列，请只保留一个"
    ),
    "{0} is an empty database in memory. Name a file": "{0} 是空的内存数据库，请指定文件",
    "{0}: there is no database file {1}": "{0}：没有数据库文件 {1}",
    "Say what to read from {0}: --table NAME or --query SQL, one of the two. Tables: {1}": (
        "请说明从 {0} 读取什么：--table 表名 或 --query SQL，二者选一。现有的表：{1}"
    ),
    "The database URL cannot be read. Write sqlite:///shop.db or "
    "postgresql://user:password@host/database, with %-escapes in the password": (
        "数据库 URL 无法解析。请写 sqlite:///shop.db 或 "
        "postgresql://user:password@host/database，密码中的特殊字符用 % 转义"
    ),
    "The query '{0}' returns no rows. Write a SELECT": "查询“{0}”不返回行，请写 SELECT",
    "{0} is no kind of database SQLAlchemy knows here: {1}": (
        "SQLAlchemy 在此不认识 {0} 这种数据库：{1}"
    ),
    "{0} needs the Python package {1}. Install it with: pip install {2}": (
        "{0} 需要 Python 包 {1}。安装：pip install {2}"
    ),
    "{0} has no table '{1}'. Tables: {2}": "{0} 没有表“{1}”。现有的表：{2}",
    "{0} is neither UTF-8 nor GB18030, Big5 or Shift-JIS; it may be Windows-1252 or another code "
    "page. Convert it with: iconv -f WINDOWS-1252 -t UTF-8 IN -o OUT": (
        "{0} 不是 UTF-8，也不是 GB18030、Big5 或 Shift-JIS，可能是 Windows-1252 等编码。"
        "转换：iconv -f WINDOWS-1252 -t UTF-8 IN -o OUT"
    ),
    "{0} is a ZIP or Excel file, not text. Save it as CSV (UTF-8) first": (
        "{0} 是 ZIP 或 Excel 文件，不是文本。请先另存为 CSV（UTF-8）"
    ),
    "{0} is a binary file, not text (it holds NUL bytes). Known are text as UTF-8, UTF-16 with a "
    "byte order mark, GB18030, Big5 or Shift-JIS, and Parquet by the ending .parquet": (
        "{0} 是二进制文件，不是文本（含 NUL 字节）。可读 UTF-8、带 BOM 的 UTF-16、GB18030、Big5、"
        "Shift-JIS 文本，以及以 .parquet 结尾的 Parquet"
    ),
    "{0} is a damaged gzip file: {1}": "{0} 是损坏的 gzip 文件：{1}",
    "{0} is not valid {1} throughout: {2}": "{0} 并非全文都是有效的 {1}：{2}",
    "Cannot read {0}: {1}": "无法读取 {0}：{1}",
    "Cannot read '{0}': {1}": "无法读取“{0}”：{1}",
    "{0} is empty: it holds no products": "{0} 是空的：没有商品",
    "{0}: in the header {1}": "{0}：表头中 {1}",
    "{0} has no column '{1}' ({2} …). Columns: {3}. Events are user, product, kind, at and query; "
    "searches are query and at": (
        "{0} 没有列“{1}”（{2} …）。现有的列：{3}。行为需要 user、product、kind、at 和 query；"
        "搜索需要 query 和 at"
    ),
    '{0} holds no JSON object. Write one a line, such as {"id": "1", "title": "…"}': (
        '{0} 中没有 JSON 对象。请每行写一个，如 {"id": "1", "title": "…"}'
    ),
    "{0} is a folder. Name a file of products in it": "{0} 是文件夹，请指定其中的商品文件",
    "There is no file {0}": "没有文件 {0}",
    "Products are read twice, so not from a pipe. Save them to a file first": (
        "商品要读两遍，不能来自管道，请先存为文件"
    ),
    "{0} is no regular file; products are read twice. Save them to a file first": (
        "{0} 不是普通文件；商品要读两遍，请先存为文件"
    ),
    "Cannot read {0}: unknown ending '{1}'. {2}": "无法读取 {0}：未知的扩展名“{1}”。{2}",
    "{0} is one JSON array, not JSON Lines. {1}": "{0} 是一个 JSON 数组，不是 JSON Lines。{1}",
    "{0} is no readable Parquet file: {1}": "{0} 不是可读的 Parquet 文件：{1}",
    "{0} belongs to a database, and {1} is a file. Name a database by its URL, such as "
    "sqlite:///shop.db": "{0} 用于数据库，而 {1} 是文件。数据库请写 URL，如 sqlite:///shop.db",
    "'{0}' is no file to write. Name one, or have tags printed: tagmill tag FILE --json": (
        "“{0}”不是可写的文件。请指定文件，或直接输出标签：tagmill tag 文件 --json"
    ),
    "Cannot write '{0}': {1}. Nothing was written": "无法写入“{0}”：{1}。什么也没有写入",
    "Cannot write '{0}'. Known endings: {1}": "无法写入“{0}”。支持的扩展名：{1}",
    "Cannot write '{0}': {1}": "无法写入“{0}”：{1}",
    "Cannot write '{0}': there is no folder {1}": "无法写入“{0}”：没有文件夹 {1}",
    "The table '{0}' of {1} has no column {2}. Name another with --table; it is made if missing": (
        "{1} 的表“{0}”没有列 {2}。请用 --table 另指定一个，不存在会自动创建"
    ),
    "The id '{0}' has {1} characters, and the column product_id of the table '{2}' holds {3}. Make "
    "it longer, or name another table with --table; it is made if missing": (
        "编号“{0}”有 {1} 个字符，而表“{2}”的列 product_id 只能放 {3} 个。请加长该列，"
        "或用 --table 另指定一个，不存在会自动创建"
    ),
    "The source lacks {0} products of the workspace, more than half: is it complete? What it has "
    "is stored, and nothing was taken out. If it is: tagmill catalog sync … --many-gone": (
        "来源缺少工作区中的 {0} 件商品，超过一半：它是完整的吗？其中的商品已入库，没有下架商品。"
        "如果确实完整：tagmill catalog sync … --many-gone"
    ),
    "'{0}' is what is read, and would be replaced. Name another file to write": (
        "“{0}”正是要读取的文件，会被覆盖。请换一个输出文件"
    ),
    "'{0}' would be written twice. Name another file to write": (
        "“{0}”会被写两次。请换一个输出文件"
    ),
    "--map '{0}' is not OURS=THEIRS, such as title=product_name": (
        "--map“{0}”不是 我方=对方 的形式，如 title=product_name"
    ),
    "No product has the id '{0}'. See: tagmill products list": (
        "没有编号为“{0}”的商品。查看：tagmill products list"
    ),
    "No product has the id '{0}'. See: tagmill review list": (
        "没有编号为“{0}”的商品。查看：tagmill review list"
    ),
    "No product has the id '{0}'. Bring products in with: tagmill catalog import": (
        "没有编号为“{0}”的商品。导入：tagmill catalog import"
    ),
    "No verdict on '{0}' of the product '{1}' could be taken back. See: tagmill products show "
    "{2}": (
        "商品“{1}”的“{0}”没有可撤回的裁定。查看：tagmill products show {2}"
    ),
    "No product of {0} has the id '{1}'": "{0} 中没有编号为“{1}”的商品",
    # options of commands
    "Unknown --language '{0}'. Known: {1}": "未知的 --language“{0}”。可选：{1}",
    "Say what to describe: ids, --all, --file products.csv or --text '…'": (
        "请说明描述什么：商品编号、--all、--file products.csv 或 --text '…'"
    ),
    "--open needs a file: tagmill evaluate test.jsonl --model DIR --open": (
        "--open 需要文件：tagmill evaluate test.jsonl --model DIR --open"
    ),
    "--model needs a file of tagged products: tagmill evaluate test.jsonl --model DIR": (
        "--model 需要已标注商品的文件：tagmill evaluate test.jsonl --model DIR"
    ),
    "--text stands for the product; leave --from {0} or --text out": (
        "--text 已代表商品；请去掉 --from {0} 或 --text"
    ),
    "Name a product and a tag: tagmill explain PRODUCT TAG; or a tag alone, with a text: tagmill "
    'explain TAG --text "…"': (
        "请给出商品和标签：tagmill explain 商品 标签；"
        '或只给标签并附文本：tagmill explain 标签 --text "…"'
    ),
    "Name one goal: -o FILE, or --to SQL_URL with --table T": (
        "请指定一个去处：-o 文件，或 --to SQL_URL 加 --table 表"
    ),
    "Unknown lane '{0}'. Stored are: auto, review (auto and review)": (
        "未知的通道“{0}”。已存储的有：auto、review（auto 和 review）"
    ),
    "Unknown lane '{0}'. Known: {1}": "未知的通道“{0}”。可选：{1}",
    "--format {0} writes a file: -o FILE": "--format {0} 要写文件：-o 文件",
    "A file and --model go together: tagmill learn verdicts.jsonl --model model. Without them the "
    "workspace's verdicts are learned": (
        "文件和 --model 要一起给：tagmill learn verdicts.jsonl --model model。"
        "都不给则学习工作区的裁定"
    ),
    "{0} has no verdict. Line {1}: {2}. Write lines such as "
    '{"title": "…", "tag": "颜色:红色", "accepted": true}': (
        "{0} 中没有裁定。第 {1} 行：{2}。每行请写如 "
        '{"title": "…", "tag": "颜色:红色", "accepted": true}'
    ),
    "-o needs a file of verdicts; a workspace keeps its models itself": (
        "-o 需要裁定文件；工作区自己保存模型"
    ),
    "Cannot read verdicts from {0}: {1}": "无法从 {0} 读取裁定：{1}",
    "Unknown --llm '{0}'. Known: {1}": "未知的 --llm“{0}”。可选：{1}",
    "Unknown --stage '{0}'. Known: {1}": "未知的 --stage“{0}”。可选：{1}",
    "--stage verify needs the tag, and no other stage takes one: tagmill prompt show PRODUCT "
    "--stage verify --tag facet:name": (
        "--stage verify 需要标签，其他步骤不需要："
        "tagmill prompt show 商品 --stage verify --tag 维度:名称"
    ),
    "Give one of: --user USER, --product PRODUCT": "请给出其一：--user 用户、--product 商品",
    "Give one of: a QUERY, --complete PREFIX, --rebuild": (
        "请给出其一：搜索词、--complete 前缀、--rebuild"
    ),
    "The event is not stored: {0}": "行为未存储：{0}",
    "kind '{0}' is not one of {1} (in a file also search)": (
        "类型“{0}”不是其中之一：{1}（文件中还可以是 search）"
    ),
    "at '{0}' is no time such as 2026-11-26T12:00:00Z": (
        "“{0}”不是时间，请写如 2026-11-26T12:00:00Z"
    ),
    "at '{0}' is more than a day from now: it would never be old": (
        "时间“{0}”在一天以后：它永远不会变旧"
    ),
    "no user": "没有用户", "no product": "没有商品", "no at": "没有时间",
    "'{0}' is no choice of a tag. Write FACET=TAG, such as 颜色=红色": (
        "“{0}”不是对标签的选择。请写 维度=标签，如 颜色=红色"
    ),
    "'{0}' is no range of a number. Write NUMBER=LOW..HIGH, such as price=100..500, price=..500": (
        "“{0}”不是数字的范围。请写 数字=下限..上限，如 price=100..500、price=..500"
    ),
    # the service
    "Give one of: user, product": "请给出其一：user、product",
    "The request has {0} events, more than {1}. Send parts, or import a file with: tagmill events "
    "import": "请求中有 {0} 条行为，多于 {1}。请分批发送，或用文件导入：tagmill events import",
    "The body is no JSON object or list. Send it as Content-Type: application/json": (
        "请求体不是 JSON 对象或列表。请以 Content-Type: application/json 发送"
    ),
    "The body is larger than {0} bytes. Send it in parts": "请求体超过 {0} 字节，请分批发送",
    "The body has no Content-Length. Send it whole": "请求体没有 Content-Length，请整体发送",
    "This should not happen; what the service wrote to stderr says why. Report it": (
        "这不应发生；原因见服务写到 stderr 的内容。请报告"
    ),
    "Nothing is served by that name. Without a key it is {0} only": (
        "不以该名称提供服务。没有密钥时只有 {0}"
    ),
    "There is nothing here. See: /openapi.json": "这里没有内容。请看：/openapi.json",
    "The database cannot be used now; what the service wrote to stderr says why. Try again": (
        "数据库现在不能使用；原因见服务写到 stderr 的内容。请重试"
    ),
    "Pages of other sites may not ask. Ask from the shop's own server": (
        "其他网站的页面不能请求。请由商店自己的服务器请求"
    ),
    "Method Not Allowed": "不支持这种请求方法",
    "{0}: all connections are in use. Try again in a moment": "{0}：连接都在使用中，请稍后重试",
    "setting '{0}' has other characters than letters, digits and signs of ASCII, which no header "
    "can carry. Give another key in {1}": (
        "设置 {0} 含有 ASCII 字母、数字和符号以外的字符，请求头无法携带。请在 {1} 中换一个密钥"
    ),
    "Send the service's key: Authorization: Bearer KEY": (
        "请附上服务的密钥：Authorization: Bearer KEY"
    ),
    "it is no object with user, product, kind, at, query": (
        "不是含 user、product、kind、at、query 的对象"
    ),
    "it has no use for {0}. Known: {1}": "用不上 {0}。可写：{1}",
    "Port {0} of {1} is taken. Give others with: --host, --port": (
        "{1} 的端口 {0} 已被占用。请用 --host、--port 另选"
    ),
    "Port {0} of {1} cannot be had ({2}). Give others with: --host, --port": (
        "不能使用 {1} 的端口 {0}（{2}）。请用 --host、--port 另选"
    ),
    "{0} can be reached from other machines, and whoever reaches it may read and delete. Set a "
    "key with TAGMILL_SERVE__KEY, which callers must send": (
        "其他机器可以访问 {0}，访问者能读取和删除数据。请用 TAGMILL_SERVE__KEY 设置密钥，"
        "由调用方附上"
    ),
    "No product has a number '{0}'. Known: {1}": "没有商品有数字“{0}”。已有：{1}",
    "--text tags that text alone; leave {0} or --text out": (
        "--text 只为该文本打标签；请去掉 {0} 或 --text"
    ),
    "--batch-in and --batch-out need --llm all or --llm cascade": (
        "--batch-in 和 --batch-out 需要 --llm all 或 --llm cascade"
    ),
    "--batch-in and --batch-out with --llm cascade need a file to tag: in a workspace another "
    "choice would be made each time. Use --llm all": (
        "--llm cascade 的 --batch-in 和 --batch-out 需要待打标签的文件：在工作区中每次会选出不同的"
        "商品。请用 --llm all"
    ),
    "--open finds new names without a large language model; with --llm that one proposes them. "
    "Leave one out": "--open 不用大模型发现新名称；有 --llm 时由大模型提议。请去掉一个",
    "--open needs a file to tag, or a workspace; leave --text out": (
        "--open 需要文件或工作区；请去掉 --text"
    ),
    "--library-version tags the workspace's products; leave the file out": (
        "--library-version 为工作区的商品打标签；请去掉文件"
    ),
    "--profile needs a file or a text: tagmill tag FILE --profile {0}. A workspace has its own "
    "library": (
        "--profile 需要文件或文本：tagmill tag 文件 --profile {0}。工作区有自己的标签库"
    ),
    "--profile {0} chooses a starter library and prompts: --model without --llm needs neither. "
    "Leave one out": (
        "--profile {0} 用于选择入门标签库和提示词：没有 --llm 时 --model 都不需要。请去掉一个"
    ),
    "--model and -o need a file to tag: tagmill tag products.csv --model DIR": (
        "--model 和 -o 需要待打标签的文件：tagmill tag products.csv --model DIR"
    ),
    "--lane {0} needs a file to tag: a workspace stores the lanes auto and review. See: tagmill "
    "export --lane": (
        "--lane {0} 需要待打标签的文件：工作区存储 auto 和 review 通道。参见：tagmill export --lane"
    ),
    "--from and -o go together: tagmill train --from tagged.jsonl -o model. Without them the "
    "workspace is trained": (
        "--from 和 -o 要一起给：tagmill train --from tagged.jsonl -o model。都不给则用工作区训练"
    ),
    "A file and -o go together: tagmill tune tagged.jsonl -o model. Without them the workspace's "
    "model is tuned": (
        "文件和 -o 要一起给：tagmill tune tagged.jsonl -o model。都不给则调优工作区的模型"
    ),
    "{0} is there already. Work in {1}, or name another folder": (
        "{0} 已存在。请在 {1} 中工作，或换一个文件夹"
    ),
    "precision is {0}; it must lie between 0.5 and 1, such as 0.95": (
        "precision 是 {0}；必须在 0.5 和 1 之间，如 0.95"
    ),
    "top_k is {0}; it must be at least 1": "top_k 是 {0}；至少为 1",
    "minutes is {0}, trials {1}; both must be above 0": (
        "minutes 是 {0}，trials 是 {1}；都必须大于 0"
    ),
    "Unknown metric '{0}'. Known: {1}": "未知的指标“{0}”。可选：{1}",
    "Unknown tagger '{0}'. Known: {1}": "未知的打标签器“{0}”。可选：{1}",
    "Unknown proposer '{0}'. Known: {1}": "未知的提议器“{0}”。可选：{1}",
    "The {0} ({1}) cannot be loaded: {2}": "无法加载 {0}（{1}）：{2}",
    # search
    "Unknown engine '{0}'. Known: {1}": "未知的引擎“{0}”。可选：{1}",
    "Tags are chosen in more than {0} facets. Name fewer": "所选标签超过 {0} 个维度，请减少",
    "The cursor is of a search sorted by {0}, not by {1}. Sort as on the page before, or begin "
    "without a cursor": (
        "游标属于按 {0} 而非 {1} 排序的搜索。请沿用上一页的排序，或不带游标重新开始"
    ),
    "Cannot sort by '{0}'. Known: {1}": "无法按“{0}”排序。可选：{1}",
    "'{0}' is no cursor. Give the `next` of the page before": (
        "“{0}”不是游标。请给出上一页的 next"
    ),
    # profiles and their prompts
    "'{0}' is no profile: {1} is missing. Copy it from {2}, and change it": (
        "“{0}”不是方案：缺少 {1}。请从 {2} 复制一份再修改"
    ),
    "'{0}' is no profile: {1} is missing. {2}Shipped: {3}; or a folder": (
        "“{0}”不是方案：缺少 {1}。{2}自带的有：{3}；也可以是文件夹"
    ),
    "{0}: unknown {1} '{2}'. {3}Known: {4}": "{0}：未知的 {1}“{2}”。{3}可选：{4}",
    "{0}: unknown key '{1}'. {2}Known: {3}": "{0}：未知的键“{1}”。{2}可选：{3}",
    "{0}: unknown field '{1}'. {2}Known: {3}": "{0}：未知的字段“{1}”。{2}可选：{3}",
    "{0}: unknown language of {1} '{2}'. {3}Known: {4}": (
        "{0}：{1} 中有未知的语言“{2}”。{3}可选：{4}"
    ),
    "{0} names no field. Write [fields] with one of {1}": (
        "{0} 没有列出字段。请写 [fields]，至少含其中之一：{1}"
    ),
    "{0}: name is {1}, not a word": "{0}：name 是 {1}，不是一个词",
    "{0}: {1} is {2}. Write a table [{3}]": "{0}：{1} 是 {2}，请写成表 [{3}]",
    "{0}: {1} has no name in '{2}'. Write: {3} = { zh = \"…\", en = \"…\" }": (
        "{0}：{1} 没有“{2}”的名称。请写：{3} = { zh = \"…\", en = \"…\" }"
    ),
    "{0}: a facet cannot be called '{1}': a colon ends its name": (
        "{0}：维度不能叫“{1}”：冒号表示名称结束"
    ),
    "{0}: library is {1}, which is no CSV file of {2} and no shipped profile ({3})": (
        "{0}：library 是 {1}，既不是 {2} 中的 CSV 文件，也不是自带的方案（{3}）"
    ),
    "The folder {0} has no prompt {1} ({2}). It has: {3}": (
        "文件夹 {0} 没有提示词 {1}（{2}）。现有的：{3}"
    ),
    "{0} is not UTF-8. Save it as UTF-8": "{0} 不是 UTF-8，请另存为 UTF-8",
    "{0} has {1} lines '==='. Write the fixed part, one such line, and the part with the product": (
        "{0} 有 {1} 行“===”。请写固定部分、一行“===”，再写含商品的部分"
    ),
    "{0} has a '$' without a name behind it. Write $$ for a dollar sign": (
        "{0} 中有后面没有名称的“$”。美元符号请写 $$"
    ),
    "{0}: '{1}' has nothing to put in the place of ${2}. {3}Known: {4}; write $$ for a dollar "
    "sign": "{0}：“{1}”没有可填入 ${2} 的内容。{3}可用：{4}；美元符号请写 $$",
    "{0} has ${1} before the line '===', where nothing may change from one product to the next. "
    "Write it behind the line": (
        "{0} 在“===”之前有 ${1}，而那里的内容不能随商品变化。请写到该行之后"
    ),
    "{0} has no ${1}. Write it behind the line '==='": "{0} 没有 ${1}。请写到“===”一行之后",
    # large language models
    "A batch needs the model's name: --llm-model": "批量文件需要模型名称：--llm-model",
    "No large language model is set. Set llm.base_url and llm.model in tagmill.toml (or --llm-url "
    "and --llm-model), llm.gguf for llama.cpp in this process, or llm.model = \"scripted\" for "
    "the stand-in that needs none": (
        "尚未设置大模型。请在 tagmill.toml 中设置 llm.base_url 和 llm.model"
        "（或用 --llm-url 和 --llm-model），或设置 llm.gguf 在本进程中运行 llama.cpp，"
        '或设 llm.model = "scripted" 使用无需模型的替身'
    ),
    "llm.gguf and llm.base_url are both set. Keep the one to be used": (
        "llm.gguf 和 llm.base_url 都已设置，请只保留要用的一个"
    ),
    "setting '{0}' is more than one line, or has control characters. Give the key alone in {1}": (
        "设置 {0} 不止一行，或含控制字符。请在 {1} 中只给出密钥"
    ),
    "{0} of the budget of {1} are spent, and the next request may cost more than the rest. All "
    "answers so far are stored: to go on run the same command again, each time may spend as much, "
    "or with another --budget (llm.budget)": (
        "预算 {1} 已用 {0}，下一个请求可能超出余额。已有的回答都已保存：再次运行同一命令即可继续，"
        "每次可花同样多，或换一个 --budget（llm.budget）"
    ),
    "--budget is {0}; it must be 0 or more: --budget 5": (
        "--budget 是 {0}；必须大于等于 0：--budget 5"
    ),
    "llm.base_url is '{0}', which does not begin with http:// or https:// and a host. Write it "
    "like http://localhost:8000/v1": (
        "llm.base_url 是“{0}”，不是以 http:// 或 https:// 加主机开头。"
        "请写如 http://localhost:8000/v1"
    ),
    "No model is named. Set llm.model (--llm-model) to one of {0}: {1}": (
        "没有指定模型。请把 llm.model（--llm-model）设为 {0} 上的一个：{1}"
    ),
    "{0} does not list '{1}' and does not answer for it. Set llm.model (--llm-model) to one of: "
    "{2}": (
        "{0} 的列表中没有“{1}”，也不以它答复。请把 llm.model（--llm-model）设为其中之一：{2}"
    ),
    "llm.base_url is {0}, but no model is named. Set llm.model (--llm-model); see what the server "
    "has with: tagmill llm check": (
        "llm.base_url 是 {0}，但没有指定模型。请设置 llm.model（--llm-model）；"
        "查看服务器有哪些：tagmill llm check"
    ),
    "The budget is {0}, but no price is set, so nothing would ever cost anything. Set "
    "llm.price_input and llm.price_output, or leave the budget out": (
        "预算是 {0}，但没有设置价格，费用会一直是 0。请设置 llm.price_input 和 llm.price_output，"
        "或去掉预算"
    ),
    "{0} requests in a row failed, the last because {1}. All answers so far are stored: see to the "
    "server, and run the same command again": (
        "连续 {0} 个请求失败，最后一个的原因：{1}。已有答复都已存储：请检查服务器后再次运行同一命令"
    ),
    "{0}, {1} times in a row. See to the server, or raise llm.timeout, and run the same command "
    "again": "{0}，连续 {1} 次。请检查服务器，或调高 llm.timeout，然后再次运行同一命令",
    "No line of '{0}' is a result of a batch. Give the file that the batch came back as, with "
    'lines such as {"custom_id": "…", "response": {…}}': (
        "“{0}”中没有一行是批量结果。请给出批量返回的文件，每行如 "
        '{"custom_id": "…", "response": {…}}'
    ),
    "{0}. There is no money left there": "{0}。该处余额不足",
    "{0}. Give the key of this server in TAGMILL_LLM__API_KEY": (
        "{0}。请在 TAGMILL_LLM__API_KEY 中给出该服务器的密钥"
    ),
    "{0}. Check llm.base_url (with its /v1) and llm.model '{1}'; see what is there with: tagmill "
    "llm check": (
        "{0}。请检查 llm.base_url（含 /v1）和 llm.model“{1}”；查看：tagmill llm check"
    ),
    "There is no model file {0}. Set llm.gguf to a GGUF file": (
        "没有模型文件 {0}。请把 llm.gguf 设为 GGUF 文件"
    ),
    "llama.cpp cannot load {0}: {1}": "llama.cpp 无法加载 {0}：{1}",
    "An encoder is a model of a server: set llm.base_url and llm.encoder, or --llm-url": (
        "编码器是服务器上的模型：请设置 llm.base_url 和 llm.encoder，或 --llm-url"
    ),
    "{0} is not on this machine, and privacy.offline is true. Use a model on this machine "
    "(http://localhost:…), or set offline = false in [privacy] of tagmill.toml": (
        "{0} 不在本机，而 privacy.offline 为 true。请用本机的模型（http://localhost:…），"
        "或在 tagmill.toml 的 [privacy] 中设 offline = false"
    ),
    # learning and models
    "The model was trained on all of these products. Give tagged ones that it has not seen": (
        "模型就是用这些商品训练的。请给它没有见过的已标注商品"
    ),
    "No product has tags to learn from. Give some rows a 'tags' column, such as "
    '{"id": "1", "title": "…", "tags": ["颜色:红色"]}': (
        "没有带标签的商品可供学习。请给一些行加上 tags 列，如 "
        '{"id": "1", "title": "…", "tags": ["颜色:红色"]}'
    ),
    "The verdict on tag {0} of product {1} is {2}; give true, false, or a teacher's probability in "
    "[0, 1]": "商品 {1} 的标签 {0} 的裁定是 {2}；请给 true、false 或 [0, 1] 内的概率",
    "A student needs at least two products that people have tagged, to tell what products do not "
    "have. Give them with --from": (
        "学生模型至少需要两件人工标注的商品，才能知道商品没有什么。请用 --from 给出"
    ),
    "No product has tags to compare with. Give some rows a 'tags' column": (
        "没有带标签的商品可供比较。请给一些行加上 tags 列"
    ),
    "No product has tags to learn from. Give some rows a 'tags' column": (
        "没有带标签的商品可供学习。请给一些行加上 tags 列"
    ),
    "The model was asked about {0} pairs, {1} of them right: too few to learn from. Give more "
    "tagged products, or a larger --sample": (
        "向模型询问了 {0} 对，其中 {1} 对正确：太少，无法学习。请给更多已标注商品，或加大 --sample"
    ),
    "The pool has no product to ask about but those that people have tagged and those that the "
    "model was taught. Give another": (
        "除了人工标注过的和模型学过的商品，没有其他商品可供询问。请给出别的商品来源"
    ),
    "None of {0} products has a usable answer, the first because {1}. There is nothing to learn: "
    "see to the server and the pool, and run the same command again": (
        "{0} 件商品都没有可用的答复，第一件的原因：{1}。没有可学习的内容："
        "请检查服务器和商品来源后再次运行同一命令"
    ),
    "{0} of {1} products have no usable answer, the first because {2}. What is left is too little "
    "to learn from: see to the server, and run the same command again": (
        "{1} 件商品中有 {0} 件没有可用的答复，第一件的原因：{2}。剩下的太少，无法学习："
        "请检查服务器后再次运行同一命令"
    ),
    "Only one product has tags; a model needs at least two. Tag some more": (
        "只有一件商品有标签；模型至少需要两件。请再标注一些"
    ),
    "Verdicts alone are not enough to learn from: at least two products need all of their tags. "
    "Give some rows a 'tags' column and import them": (
        "仅有裁定不足以学习：至少两件商品需要完整标签。请给一些行加上 tags 列并导入"
    ),
    "Too few products have tags to hold a fifth of them out. Tag some more, or train with the "
    "default options: tagmill train": (
        "带标签的商品太少，无法留出五分之一。请再标注一些，或用默认选项训练：tagmill train"
    ),
    "There is no trained model to learn on. Make one with: tagmill train": (
        "没有可继续学习的模型。训练：tagmill train"
    ),
    "Run {0} tagged with model {1}, which {2} lacks. Models are not in the database: copy the "
    "folder from where that was, or make a new one with: tagmill train": (
        "批次 {0} 用的是模型 {1}，{2} 中没有。模型不在数据库里：请从原处复制该文件夹，"
        "或重新训练：tagmill train"
    ),
    "This workspace has no trained model yet. Make one with: tagmill train": (
        "工作区还没有训练过模型。训练：tagmill train"
    ),
    "An untrained model has nothing to save. Make one with: tagmill train": (
        "未训练的模型没有可保存的内容。训练：tagmill train"
    ),
    "{0} is not a model folder (no {1}). Make one with: tagmill train --from tagged.jsonl -o {2}": (
        "{0} 不是模型文件夹（没有 {1}）。训练：tagmill train --from tagged.jsonl -o {2}"
    ),
    "The model folder {0} is damaged: {1} and {2} name different tags. Train it again, or copy it "
    "anew": "模型文件夹 {0} 已损坏：{1} 和 {2} 的标签不同。请重新训练或重新复制",
    "The model folder {0} is damaged: {1}. Train it again, or copy it anew": (
        "模型文件夹 {0} 已损坏：{1}。请重新训练或重新复制"
    ),
    "{0} holds files that are no model. Name another folder": (
        "{0} 中有不属于模型的文件，请换一个文件夹"
    ),
    "Cannot write a model to {0}: {1}": "无法把模型写入 {0}：{1}",
    "{0} has the model format {1}, this version reads {2}. Train it again": (
        "{0} 的模型格式是 {1}，本版本读取 {2}。请重新训练"
    ),
    "The model finds no new names: too few of the tags it learned from stand in the texts of their "
    "products. Train it on products whose tags do": (
        "模型找不到新名称：所学标签很少出现在商品文本中。请用标签出现在文本中的商品训练"
    ),
    "'{0}' is {1}: no product gets it. See: tagmill library show '{2}'": (
        "“{0}”的状态是 {1}：没有商品会得到它。查看：tagmill library show '{2}'"
    ),
    # the library
    "Unknown facet '{0}'. Known: {1}": "未知的维度“{0}”。现有：{1}",
    "Where to? Give --facet, --broader or --top": "移到哪里？请给 --facet、--broader 或 --top",
    "--values '{0}' is none of {1}": "--values“{0}”不是 {1} 之一",
    "--single and --many are opposites. Give one of them": (
        "--single 与 --many 相反，请只给一个"
    ),
    "The latest change is change {0} ({1} of {2} tags and facets, {3}). If you mean it: tagmill "
    "library undo {4}": (
        "最近的改动是改动 {0}（{1}，{2} 个标签和维度，{3}）。确实要撤销：tagmill library undo {4}"
    ),
    "There is no change to undo. See: tagmill library history": (
        "没有可撤销的改动。查看：tagmill library history"
    ),
    "'{0}' and '{1}' are one tag. Name two": "“{0}”和“{1}”是同一个标签，请给出两个",
    "'{0}' is below '{1}' with tags between them, which would be below themselves. Move it up "
    "first: tagmill library move '{2}' --broader …": (
        "“{0}”在“{1}”之下且中间还有标签，合并会使它们在自己之下。"
        "请先上移：tagmill library move '{2}' --broader …"
    ),
    "'{0}' is retired already. See: tagmill library show {1}": (
        "“{0}”已停用。查看：tagmill library show {1}"
    ),
    "'{0}' is split into {1} tag. Name two or more": "“{0}”只拆成 {1} 个标签，请给出两个以上",
    "'{0}' is the canonical name of '{1}', which it needs. Give it another with: tagmill library "
    "rename": "“{0}”是“{1}”的规范名，不能去掉。改名：tagmill library rename",
    "'{0}' is not called '{1}'. Its other names: {2}": "“{0}”没有名称“{1}”。其他名称：{2}",
    "'{0}' was merged into '{1}'. If you mean that one, write '{2}'": (
        "“{0}”已并入“{1}”。如指后者，请写“{2}”"
    ),
    "'{0}' is not retired, it is {1}": "“{0}”没有停用，状态是 {1}",
    "'{0}' is named without a facet. Write facet:name; there are: {1}": (
        "“{0}”没有写维度。请写 维度:名称；现有维度：{1}"
    ),
    "There is no facet '{0}', but '{1}'. Write that, or make a new facet with: --new-facet": (
        "没有维度“{0}”，但有“{1}”。请改用后者，或用 --new-facet 新建维度"
    ),
    "'{0}' is retired. Bring it back first: tagmill library restore {1}": (
        "“{0}”已停用。请先恢复：tagmill library restore {1}"
    ),
    "'{0}' cannot be below '{1}', which is below it or the same. Move that one first": (
        "“{0}”不能放在“{1}”之下，后者在它之下或就是它。请先移动后者"
    ),
    "Unknown format '{0}'. Known: {1}": "未知的格式“{0}”。可选：{1}",
    "{0}: status '{1}' is not one of {2}": "{0}：状态“{1}”不是 {2} 之一",
    "{0} holds no skos:Concept": "{0} 中没有 skos:Concept",
    "{0} cannot be read: {1}": "{0} 无法读取：{1}",
    "{0} is neither Turtle nor RDF/XML: {1}": "{0} 既不是 Turtle 也不是 RDF/XML：{1}",
    "{0} is neither UTF-8 nor GB18030. Save it as UTF-8": (
        "{0} 既不是 UTF-8 也不是 GB18030，请另存为 UTF-8"
    ),
    "{0} is not a CSV file: it holds binary data": "{0} 不是 CSV 文件：含二进制数据",
    "{0} is empty: it needs a header with the columns facet, name": (
        "{0} 是空的：表头需要有 facet、name 列"
    ),
    "{0}: {1}{2}. Nothing was read": "{0}：{1}{2}。什么都没有读入",
    "{0} is no language code. Write one such as zh, en, zh-Hant, pt-BR": (
        "{0} 不是语言代码。请写 zh、en、zh-Hant、pt-BR 这样的代码"
    ),
    "{0} cannot be a name: it has control characters, or is not UTF-8. Write it without": (
        "{0} 不能作为名称：含控制字符，或不是 UTF-8。请去掉"
    ),
    "{0} cannot be an id: it has control characters. Write it without": (
        "{0} 不能作为 id：含控制字符。请去掉"
    ),
    "A name cannot be empty. Write one": "名称不能为空，请写一个",
    "The facet '{0}' has a colon, at which facet:name is divided. Write it without: {1}": (
        "维度“{0}”含冒号，而 维度:名称 以冒号分开。请写成：{1}"
    ),
    "The facet {0} has a line break. Write it without": "维度 {0} 含换行，请去掉",
    "{0}{1}. Nothing was imported": "{0}{1}。什么都没有导入",
    "{0}: no column '{1}' in the header ({2}). {3}": "{0}：表头（{2}）中没有列“{1}”。{3}",
    "Call the columns {0}, name_<language>, facet_<language>": (
        "请把各列改名为 {0}、name_<语言>、facet_<语言>，其中的中文名也可以"
    ),
    "{0}: unknown column '{1}'. {2}": "{0}：未知的列“{1}”。{2}",
    "{0} line {1}: not CSV ({2})": "{0} 第 {1} 行：不是 CSV（{2}）",
    "{0}: not CSV ({1})": "{0}：不是 CSV（{1}）",
    "{0} holds no Shopify taxonomy: files such as categories.en.txt, attribute_values.en.txt": (
        "{0} 中没有 Shopify 分类法：应有 categories.en.txt、attribute_values.en.txt 等文件"
    ),
    "{0} holds no Google product taxonomy: lines such as 'A > B'": (
        "{0} 中没有 Google 商品分类法：应有 A > B 这样的行"
    ),
    "{0}: the value {1} names no attribute: write name [attribute]": (
        "{0}：取值 {1} 没有写属性：请写 名称 [属性]"
    ),
    "{0} line {1}: '{2}' is no entry of it": "{0} 第 {1} 行：“{2}”不是其中的条目",
    "The starter library is missing: no CSV file in {0}. Reinstall": (
        "缺少入门标签库：{0} 中没有 CSV 文件。请重新安装"
    ),
    "No tag has a name in '{0}'. There are names in: {1}; 'product' stands for each product's own "
    "language": "没有标签有“{0}”语言的名称。现有语言：{1}；product 表示按每件商品自己的语言",
    "'{0}' cannot be merged into {1}: name the id of another tag of the library": (
        "“{0}”不能并入 {1}：请给出标签库中另一个标签的 id"
    ),
    "A tag of the facet '{0}' has no name. Write facet:name": (
        "维度“{0}”的一个标签没有名称。请写 维度:名称"
    ),
    "Two tags have the id {0}: '{1}' and '{2}'. Give one of them another id, or none": (
        "“{1}”和“{2}”的 id 都是 {0}。请给其中一个换 id，或不写"
    ),
    "Facets '{0}' and '{1}' are both called '{2}'. Use one key for both, or another name": (
        "维度“{0}”和“{1}”都叫“{2}”。请用同一个键，或换名称"
    ),
    "The library cannot be opened: {0}. Take back the change that made it so: tagmill library "
    "history, tagmill library undo CHANGE": (
        "标签库无法打开：{0}。请撤销造成此问题的改动：tagmill library history，"
        "tagmill library undo 改动"
    ),
    "--model and --profile need a file: tagmill plan FILE --model DIR": (
        "--model 和 --profile 需要文件：tagmill plan 文件 --model 文件夹"
    ),
    "The names of '{0}' are text, which has no unit. Give --values number, or range": (
        "“{0}”的名称是文字，没有单位。请加 --values number 或 range"
    ),
    "'{0}' and '{1}' (id {2}) are the same quantity ('{3}'): the names of the facet '{4}' are "
    "quantities. Keep one, or merge them; for all such pairs see: tagmill library duplicates": (
        "“{0}”和“{1}”（id {2}）是同一个数量（“{3}”）：维度“{4}”的名称是数量。请只留一个，或合并；"
        "查看所有这样的对：tagmill library duplicates"
    ),
    "'{0}' and '{1}' (id {2}) would both be called '{3}' in the facet '{4}'. Rename one, or merge "
    "them": "“{0}”和“{1}”（id {2}）在维度“{4}”中都会叫“{3}”。请改名其一，或合并",
    "Proposal {0} ('{1}') says no facet. Say which: tagmill library accept {2} --facet FACET "
    "({3}); or make it another name of a tag: tagmill library merge-into {4} TAG": (
        "提议 {0}（“{1}”）没有维度。请指定：tagmill library accept {2} --facet 维度（{3}）；"
        "或作为某标签的别名：tagmill library merge-into {4} 标签"
    ),
    "Change {0} cannot be undone: later changes rest on it: {1}. Undo the newest of them first": (
        "改动 {0} 不能撤销：后来的改动依赖它：{1}。请先撤销其中最新的"
    ),
    "There is no change {0}. See: tagmill library history": (
        "没有改动 {0}。查看：tagmill library history"
    ),
    "The library changed since you read it (version {0}): {1}. Look at what it is now, and make "
    "your change again": "标签库在您读取（版本 {0}）之后有改动：{1}。请查看现状后重新操作",
    "The facet '{0}' changed since you read it (version {1}), by change {2}. Look at what it is "
    "now, and make your change again": (
        "维度“{0}”在您读取（版本 {1}）之后被改动 {2} 改过。请查看现状后重新操作"
    ),
    "Change {0} was undone already, by change {1}. To have it back: tagmill library undo {2}": (
        "改动 {0} 已被改动 {1} 撤销。要恢复：tagmill library undo {2}"
    ),
    "Change {0} cannot be undone: the facet of its tags was taken out since, by {1}. Undo the "
    "newest of them first": "改动 {0} 不能撤销：其标签的维度已被 {1} 去掉。请先撤销其中最新的",
    "The library has no version {0}, the newest is {1}. See: tagmill library history": (
        "标签库没有版本 {0}，最新是 {1}。查看：tagmill library history"
    ),
    "Change {0} cannot be undone: the facet '{1}' is only for a tag that it made. Free the facet "
    "first: tagmill library facet '{2}' --only-for ''": (
        "改动 {0} 不能撤销：维度“{1}”仅适用于它新建的标签。"
        "请先放开该维度：tagmill library facet '{2}' --only-for ''"
    ),
    "There is no proposal {0}. See: tagmill library proposals": (
        "没有提议 {0}。查看：tagmill library proposals"
    ),
    "Proposal {0} ('{1}') was {2} already by {3} at {4}. {5}": (
        "提议 {0}（“{1}”）已由 {3} 于 {4} {2}。{5}"
    ),
    "rejected": "拒绝", "accepted": "采纳", "merged": "并入标签",
    "the rule": "规则",
    "To have the name after all: tagmill library add '{0}'": (
        "仍要这个名称：tagmill library add '{0}'"
    ),
    "To take that back: tagmill library undo {0}": "撤销该处理：tagmill library undo {0}",
    "See: tagmill library show {0}": "查看：tagmill library show {0}",
    "Unknown tag '{0}'. Nearest: {1}. Add it with: tagmill library add 'FACET:{2}'": (
        "未知的标签“{0}”。相近的有：{1}。添加：tagmill library add '维度:{2}'"
    ),
    "Unknown tag '{0}'. Nearest: {1}. Add it with: tagmill library add '{2}'": (
        "未知的标签“{0}”。相近的有：{1}。添加：tagmill library add '{2}'"
    ),
    "Unknown tag '{0}'. Add it with: tagmill library add '{1}'": (
        "未知的标签“{0}”。添加：tagmill library add '{1}'"
    ),
    "{0} needs {1}. Install with: pip install 'tagmill[{2}]'": (
        "{0} 需要 {1}。安装：pip install 'tagmill[{2}]'"
    ),
    # workspace, settings, store
    "{0} is not a tagmill workspace (no {1} here or above). Make one with: tagmill init": (
        "{0} 不是 tagmill 工作区（这里和上级都没有 {1}）。新建：tagmill init"
    ),
    "{0} is not a tagmill workspace (no {1}). Make one with: tagmill init": (
        "{0} 不是 tagmill 工作区（没有 {1}）。新建：tagmill init"
    ),
    "Cannot declare {0} twice (at line {1}, column {2})": (
        "第 {1} 行又声明了一次 {0}，请合并到同一处"
    ),
    "Cannot overwrite a value (at line {0}, column {1})": "第 {0} 行的设置前面已有，请只留一处",
    "Invalid value (at line {0}, column {1})": "第 {0} 行的值无效，文字要加引号",
    "Invalid statement (at line {0}, column {1})": "第 {0} 行不是“名称 = 值”，也不是 [表]",
    "Expected '=' after a key in a key/value pair (at line {0}, column {1})": (
        "第 {0} 行的名称之后缺少“=”"
    ),
    "{0} is not valid TOML: {1}": "{0} 不是有效的 TOML：{1}",
    "{0}: 'root' cannot be set; it is the folder of the file": (
        "{0}：不能设置 root，它就是该文件所在的文件夹"
    ),
    "setting '{0}' is {1}: {2}": "设置 {0} 不能是 {1}：{2}",
    "unknown setting '{0}'. {1}": "没有设置“{0}”。{1}",
    "Did you mean '{0}'?": "您是否指“{0}”？",
    "Known: {0}.": "可选：{0}。",
    "setting 'privacy.{0}' names '{1}', which is no field of a product. {2}Write one of {3}, or "
    "one attribute as attributes.{4}": (
        "设置 privacy.{0} 中的“{1}”不是商品字段。{2}请写 {3} 之一，或把属性写作 attributes.{4}"
    ),
    "The cursor {0} is ahead of {1}, which is at {2}. It belongs to another database; export "
    "without --since": "游标 {0} 超前于 {1}（现为 {2}），属于另一个数据库；请不带 --since 导出",
    "Run {0} is {1}, it takes no more tags. Start a new one": (
        "批次 {0} 的状态是 {1}，不再接收标签。请开始新批次"
    ),
    "tagmill cannot keep its data in {0}. Known: sqlite, postgresql+psycopg": (
        "tagmill 不能把数据存在 {0} 中。可选：sqlite、postgresql+psycopg"
    ),
    "database.url cannot be read. Write sqlite:///file.db or "
    "postgresql+psycopg://user:password@host/name, with %-escapes in the password": (
        "database.url 无法解析。请写 sqlite:///file.db 或 "
        "postgresql+psycopg://user:password@host/name，密码中的特殊字符用 % 转义"
    ),
    "{0} is there already, and names the database and the profile. Change them there, then: "
    "tagmill init, without these options": (
        "{0} 已存在，数据库和 profile 由它指定。请在其中修改，再运行不带这些选项的 tagmill init"
    ),
    "There is no database {0}. Make one with: tagmill init, or put a backup in its place": (
        "没有数据库 {0}。新建：tagmill init"
    ),
    "Another process is tagging the products of {0}. Wait until it is done; what it has tagged is "
    "not tagged again": "另一个进程正在为 {0} 的商品打标签。请等它完成；已打过的不会重复",
    "Another process has all products of {0} described. Wait until it is done; what it was "
    "answered is not asked again": (
        "另一个进程正在为 {0} 的全部商品写描述。请等它完成；已回答的不会再问"
    ),
    "{0} is not a tagmill database. Make one with: tagmill init": (
        "{0} 不是 tagmill 数据库。新建：tagmill init"
    ),
    "{0} holds other tables ({1}). Give tagmill a database of its own; read products from this one "
    "with: tagmill catalog import": (
        "{0} 中有其他表（{1}）。请给 tagmill 单独的数据库；从这里读商品用：tagmill catalog import"
    ),
    "tagmill backs up SQLite only. For PostgreSQL run: pg_dump --format=custom --file={0} {1}": (
        "tagmill 只备份 SQLite。PostgreSQL 请运行：pg_dump --format=custom --file={0} {1}"
    ),
    "{0} is there already. Name a file that does not exist": "{0} 已存在，请换一个不存在的文件",
    "{0} was made by a newer tagmill (revision {1}, known up to {2}). Upgrade with: pip install -U "
    "tagmill": "{0} 由更新的 tagmill 生成（修订 {1}，已知到 {2}）。升级：pip install -U tagmill",
    "There is no run {0}. See: tagmill runs list": "没有批次 {0}。查看：tagmill runs list",
    "Run {0} cannot be undone: later runs tagged the same products: {1}. Undo the newest first: "
    "tagmill runs undo {2}": (
        "批次 {0} 不能撤销：后来的批次为同样的商品打过标签：{1}。"
        "请先撤销最新的：tagmill runs undo {2}"
    ),
    "Run {0} was undone already. See: tagmill runs list": (
        "批次 {0} 已撤销。查看：tagmill runs list"
    ),
    "Run {0} is {1}; start a new one": "批次 {0} 的状态是 {1}；请开始新批次",
}  # fmt: skip
_VALUE = re.compile(r"\{(\d)\}")
_LONGEST = 4000


def say_error(error: Exception) -> str:
    """The message of an error in the terminal's language."""
    return in_chinese(str(error)) if interface_language() == "zh" else str(error)


def in_chinese(text: str, forms: Mapping[str, str] = ERRORS, depth: int = 3) -> str:
    """A message in Chinese, or as it is where it has no Chinese form among these.

    A value may be a message too, as may what stands behind `tagmill.toml: `, to a `depth`. Who
    calls may choose the values: what is longer than any message of ours is left as it is.
    """
    if not depth or len(text) > _LONGEST:
        return text
    for pieces, chinese in _forms(tuple(forms.items())):
        values = _values(text, pieces)
        if values is not None:
            said = [in_chinese(value.strip(), forms, depth - 1) for value in values]
            return _filled(chinese, said)
    source, colon, said_of_it = text.partition(": ")
    inner = in_chinese(said_of_it, forms, depth - 1) if colon else said_of_it
    return text if inner == said_of_it else f"{source}：{inner}"


def _values(text: str, pieces: Sequence[str]) -> list[str] | None:
    """What stands between the pieces of a form, the first place of each; None if it has not them
    all in order. A regular expression for it would try every place of every piece."""
    first, *middle, last = pieces if len(pieces) > 1 else (*pieces, "")
    end = len(text) - len(last)
    if len(pieces) == 1:
        return [] if text == first else None
    if not (text.startswith(first) and text.endswith(last) and len(first) <= end):
        return None
    values, place = [], len(first)
    for piece in middle:
        found = text.find(piece, place, end)
        if found < 0:
            return None
        values.append(text[place:found])
        place = found + len(piece)
    return [*values, text[place:end]]


def _filled(form: str, values: Sequence[str]) -> str:
    return _VALUE.sub(lambda place: values[int(place[1])], form)


@cache
def _forms(forms: tuple[tuple[str, str], ...]) -> list[tuple[list[str], str]]:
    """The pieces of English messages between their values, those with the most words first."""
    return [
        (_VALUE.split(form)[::2], chinese)
        for form, chinese in sorted(forms, key=lambda one: -len(_VALUE.sub("", one[0])))
    ]
