"""What a merchandiser reads in the terminal, in English and Chinese.

The language is that of the terminal (`LANG`, `LC_ALL`), or `TAGMILL_LANG`.
"""

from __future__ import annotations

from string import Formatter

from tagmill.settings import interface_language

__all__ = ["MESSAGES", "WORDS", "label", "say", "word"]

MESSAGES: dict[str, tuple[str, str]] = {
    # key: (English, Chinese); {count:tag|tags} is "1 tag" or "2 tags".
    "id": ("Id", "编号"),
    "description": ("Description", "描述"),
    "category": ("Category", "类目"),
    "language": ("Language", "语言"),
    "names": ("Names", "各语言名称"),
    "merged_into": ("Merged into", "已并入"),
    "split_into": ("Split into", "已拆成"),
    "broader": ("Broader", "上位标签"),
    "matches": ("Elsewhere", "外部对应"),
    "signature": ("Signature", "标识"),
    "library_version": ("Library", "标签库版本"),
    "library_change": ("For change", "所属改动"),
    "valid_to": ("Valid to", "有效至版本"),
    "settings": ("Settings", "设置"),
    "counts": ("Counts", "数量"),
    "product": ("Product", "商品"),
    "tag": ("Tag", "标签"),
    "facet": ("Facet", "维度"),
    "name": ("Name", "名称"),
    "probability": ("Probability", "概率"),
    "lane": ("Lane", "通道"),
    "evidence": ("Evidence", "依据"),
    "origin": ("Origin", "来源"),
    "status": ("Status", "状态"),
    "aliases": ("Aliases", "别名"),
    "products": ("Products", "商品数"),
    "run": ("Run", "批次"),
    "kind": ("Kind", "类型"),
    "model": ("Model", "模型"),
    "started": ("Started", "开始"),
    "finished": ("Finished", "结束"),
    "metric": ("Metric", "指标"),
    "lexicon": ("Lexicon", "词典"),
    "auto": ("auto", "自动发布"),
    "review": ("review", "待审核"),
    "rejected": ("rejected", "未采用"),
    "prior": ("prior", "先验"),
    "no_tags": ("no tags", "无标签"),
    "given_tags": ("Tags it came with: {tags}", "目录自带的标签：{tags}"),
    "gone": ("Discontinued: no longer in the output.", "已下架，不再输出。"),
    "tagging": ("Tagging", "打标签"),
    "reading": ("Reading", "读取"),
    "exporting": ("Exporting", "导出"),
    "training": ("Training", "训练"),
    "tagged": (
        "{products:product|products} tagged: {tags:tag|tags}, {auto:,} auto, {review:,} for "
        "review; {untagged:product|products} without a tag.",
        "已为 {products:,} 件商品打标签：共 {tags:,} 个，自动发布 {auto:,}，待审核 {review:,}；"
        "{untagged:,} 件没有标签。",
    ),
    "written": ("Written to {path}.", "已写入 {path}。"),
    "rejects": (
        "Could not be read: {count:row|rows}. Which and why: {path}.",
        "{count:,} 行无法读取，行号和原因见 {path}。",
    ),
    "rejects_unwritten": (
        "Could not be read: {count:row|rows}, and {path} cannot be written ({why}). The first, "
        "line {first}.",
        "{count:,} 行无法读取，且无法写入 {path}（{why}）。第一处，第 {first}。",
    ),
    "spelled_alike": (
        "{count:name is|names are} spelled in several ways, each a tag of its own, such as "
        "{examples}. One tag each: --merge-variants",
        "{count:,} 个名称有几种写法，各算一个标签，如 {examples}。要合为一个标签：--merge-variants",
    ),
    "few_products": (
        "{products:product teaches|products teach} little: tag some hundreds. In a workspace "
        "(tagmill init) the starter library helps meanwhile.",
        "{products:,} 件商品能教的很少：请标注几百件。工作区（tagmill init）的入门标签库可先补上。",
    ),
    "unread_numbers": (
        "{count:product|products} with a number that cannot be read and is left out: line {first}.",
        "{count:,} 件商品有无法读取的数字，未采用：第 {first} 行。",
    ),
    "unread_columns": (
        "Columns not read: {columns}. Read one as an attribute with: "
        "--map attributes.{name}={first}; a price or another number to sort by: "
        "--map numbers.{name}={first}",
        "未读取的列：{columns}。可作为属性读取：--map attributes.{name}={first}；"
        "价格等用来排序的数字：--map numbers.{name}={first}",
    ),
    "imported": (
        "{new:,} new, {changed:,} changed, {unchanged:,} unchanged, {returned:,} returned, "
        "{gone:,} gone, {rejected:,} rejected.",
        "新增 {new:,}，变更 {changed:,}，未变 {unchanged:,}，重新上架 {returned:,}，"
        "下架 {gone:,}，拒收 {rejected:,}。",
    ),
    "initialised": (
        "Workspace {path} is ready, with a library of {tags:tag|tags}.",
        "工作区 {path} 已就绪，标签库有 {tags:,} 个标签。",
    ),
    "next": ("Next:", "下一步："),
    "nothing_to_tag": (
        "Nothing to tag: every product has tags of this model and library, or of a person "
        "(these too with --all).",
        "没有需要打标签的商品：都已由当前模型和标签库打过，或已有人工标签（--all 也包括后者）。",
    ),
    "run_stored": (
        "Stored as run {run}. Undo it with: tagmill runs undo {run}",
        "已存为批次 {run}。撤销：tagmill runs undo {run}",
    ),
    "undone": (
        "Run {run} undone: {products:product has|products have} the tags of before.",
        "批次 {run} 已撤销：{products:,} 件商品恢复为之前的标签。",
    ),
    "trained": (
        "Trained on {products:product|products}, {trained_tags:,} of {tags:tag|tags} with "
        "examples. Model: {path}",
        "已用 {products:,} 件商品训练，{tags:,} 个标签中 {trained_tags:,} 个有样本。模型：{path}",
    ),
    "learned": (
        "{count:verdict|verdicts} learned in {seconds:.1f} s. Model: {path}",
        "已学习 {count:,} 条裁定，用时 {seconds:.1f} 秒。模型：{path}",
    ),
    "tuned": (
        "{metric} on the held-out fifth: {default:.4f} with the default options, {best:.4f} with "
        "the best of {trials:trial|trials} ({seconds:,.0f} s).",
        "在留出的五分之一商品上，{metric}：默认选项 {default:.4f}，"
        "{trials:,} 次试验中最好的 {best:.4f}（{seconds:,.0f} 秒）。",
    ),
    "option": ("Option", "选项"),
    "default": ("Default", "默认"),
    "chosen": ("Chosen", "选用"),
    "unknown_tags": (
        "{count:tag of the products is|tags of the products are} not in the library and left out, "
        "such as {examples}. Add one with: tagmill library add",
        "商品中有 {count:,} 个标签不在标签库中，已忽略，如 {examples}。添加：tagmill library add",
    ),
    "accepted": ("Accepted: {tag} for {product}.", "已接受：{product} 的 {tag}。"),
    "declined": ("Rejected: {tag} for {product}.", "已拒绝：{product} 的 {tag}。"),
    "reopened": ("Undecided again: {tag} for {product}.", "已撤回裁定：{product} 的 {tag}。"),
    "queue_empty": ("Nothing waits for review.", "没有待审核的标签。"),
    "queue_hint": (
        "Decide with: tagmill review accept PRODUCT TAG, or reject; reopen takes a verdict back.",
        "裁定：tagmill review accept 商品 标签，或 reject；reopen 撤回裁定。",
    ),
    "version": ("Version", "版本"),
    "when": ("When", "时间"),
    "who": ("Who", "谁"),
    "what": ("What", "内容"),
    "why": ("Why", "原因"),
    "gained": ("Gained", "新增"),
    "lost": ("Lost", "失去"),
    "moved": ("Another lane", "换通道"),
    "undone_by": ("undone by {change}", "已被 {change} 撤销"),
    "support": ("Support", "支持商品数"),
    "searches": ("Searches", "搜索次数"),
    "nearest": ("Nearest tags", "相近标签"),
    "example": ("Example", "例子"),
    "finding": ("Finding", "发现"),
    "count": ("Count", "数量"),
    "command": ("Mend it with", "修复命令"),
    "coverage": ("Coverage", "覆盖率"),
    "tags": ("Tags", "标签数"),
    "used": ("Used", "在用"),
    "per_product": ("Per product", "每件商品"),
    "month": ("Month", "月份"),
    "added": ("Added", "新增"),
    "merged": ("Merged", "合并"),
    "retired": ("Retired", "停用"),
    "active": ("Active", "有效"),
    "health": (
        "Library version {version}: {active:,} active tags. {tagged:,} of "
        "{products:product has|products have} tags, {tags_per_product:.1f} tags of "
        "{facets_per_product:.1f} facets each.",
        "标签库版本 {version}：有效标签 {active:,} 个。"
        "{products:,} 件商品中 {tagged:,} 件有标签，"
        "平均 {tags_per_product:.1f} 个、覆盖 {facets_per_product:.1f} 个维度。",
    ),
    "health_title": ("Health of the tag library", "标签库体检"),
    "healthy": ("Nothing to mend.", "没有需要修复的问题。"),
    "found_unused": ("no product has it", "没有商品使用"),
    "found_used_once": ("one product has it", "只有一件商品使用"),
    "found_everywhere": ("more than half of all products have it", "超过一半商品都有"),
    "found_implied": ("comes with a broader tag nearly always", "几乎总与更宽的标签同时出现"),
    "found_together": ("always come together", "总是同时出现"),
    "found_falling": ("refused more often lately", "近来被拒绝更多"),
    "found_overlapping": ("one name in two facets", "同名出现在两个维度"),
    "found_duplicates": ("mean the same", "意思相同"),
    "found_proposals_open": ("new names wait for a decision", "新名称待处理"),
    "found_searched": ("searched more often than products have it", "搜索次数多于商品数"),
    "growth": ("How the library grew", "标签库的增长"),
    "found_untagged": ("products without any tag", "没有标签的商品"),
    "reasons": ("Reasons", "理由"),
    "no_difference": ("The two versions are the same.", "两个版本相同。"),
    "no_duplicates": ("No two tags seem to mean the same.", "没有发现意思相同的标签。"),
    "duplicates": (
        "Pairs: {pairs:,}; groups: {groups:,} (--min-probability, --limit).",
        "{pairs:,} 对，{groups:,} 组（--min-probability、--limit）。",
    ),
    "merge_with": (
        "See what a merge does: tagmill library merge '{source}' '{target}' --dry-run",
        "预演合并：tagmill library merge '{source}' '{target}' --dry-run",
    ),
    "reason_form": ("the same but for spelling", "仅写法不同"),
    "reason_accents": ("but for accents", "仅重音符号不同"),
    "reason_quantity": ("the same quantity", "同一数量"),
    "reason_wording": ("Taiwan's wording", "港台用词"),
    "reason_filler": ("but for a filler", "仅差虚字"),
    "reason_dictionary": ("one tag of the starter library", "词典中为同一标签"),
    "reason_order": ("the same words", "词序不同"),
    "reason_model_says_yes": ("the language model says yes", "大模型认为相同"),
    "reason_model_says_no": ("but the language model says no", "但大模型认为不同"),
    "reason_spelling": ("one letter", "差一个字母"),
    "reason_embedding": ("near in meaning", "语义相近"),
    "reason_told_apart": ("but told apart in another language", "但另一语言中名称不同"),
    "reason_given_together": ("but given together", "但常同时使用"),
    "reason_in_other_company": ("but in other company", "但使用场景不同"),
    "reason_in_the_same_company": ("in the same company", "使用场景相同"),
    "left_retired": (
        "{count:tag of the file is|tags of the file are} retired here and left so: "
        "tagmill library restore TAG",
        "文件中有 {count:,} 个标签在此已停用，保持不变：tagmill library restore 标签",
    ),
    "not_held": ("{count:,} × {what}", "{count:,} × {what}"),
    "held_renamed": (
        "renamed, as another tag of the facet has that name",
        "因同名标签已存在而改名",
    ),
    "held_name_taken": ("name left out, another tag has it", "名称已被其他标签占用，未采用"),
    "held_unknown_references": (
        "pointer to a tag that is neither in the file nor here, left out",
        "指向文件和标签库中都没有的标签，未采用",
    ),
    "held_unreadable": (
        "tag whose name or id cannot be read, left out",
        "名称或 id 无法读取的标签，未采用",
    ),
    "held_facet_kept": (
        "row of another facet than its tag, which stays in its own: tagmill library move TAG "
        "--facet FACET",
        "所写维度与标签的不同，标签留在原维度：tagmill library move 标签 --facet 维度",
    ),
    "held_not_taken_away": (
        "row that leaves out an alias, a description or a broader tag, which stays, as a file "
        "takes nothing away: tagmill library alias TAG NAME --remove, describe TAG '', move TAG "
        "--top",
        "没有写标签已有的别名、描述或上级，均保留，导入不会删去任何内容：tagmill library "
        "alias 标签 名称 --remove、describe 标签 ''、move 标签 --top",
    ),
    "held_loops": (
        "pointer by which a tag would be below itself, left out",
        "会使标签在自己之下，未采用",
    ),
    "held_without_id": (
        "tag without an id of that taxonomy, not written",
        "无该分类法编号，未写出",
    ),
    "held_aliases": ("alias that the format cannot hold", "该格式无法保存的别名"),
    "held_descriptions": ("description that the format cannot hold", "该格式无法保存的描述"),
    "held_one_name": ("tag of one name, not written", "只有一个名称的标签，未写出"),
    "held_other": ("{kind} that a library cannot hold", "标签库无法保存的 {kind}"),
    "more_facets": (
        "{count:more facet|more facets}, used less or not at all: --json has them all.",
        "另有 {count:,} 个维度用得更少或未使用：--json 列出全部。",
    ),
    "names_proposed": (
        "{count:new name|new names} noted: tagmill library proposals",
        "记下 {count:,} 个新名称：tagmill library proposals",
    ),
    "no_proposals": (
        "No proposal has the support of {least:product|products} or searches.",
        "没有支持数达到 {least:,} 的提议。",
    ),
    "proposals_next": (
        "Decide with: tagmill library accept N, reject N, or merge-into N TAG",
        "处理：tagmill library accept N（采纳）、reject N（拒绝）、merge-into N 标签（并入）",
    ),
    "proposed": ("Proposed: {tag}.", "已提议：{tag}。"),
    "proposal_known": ("{tag} is in the library already.", "标签库中已有 {tag}。"),
    "proposal_rejected": (
        "Rejected: {name}. It never comes back.",
        "已拒绝：{name}，不会再出现。",
    ),
    "accepted_by_rule": (
        "{count:proposal|proposals} accepted by the rule: {names}.",
        "规则自动采纳了 {count:,} 条提议：{names}。",
    ),
    "forecast": (
        "Nothing is changed yet. This would change {tags:tag|tags} and touch "
        "{products:product|products}; {changed:,} of them would have other tags: "
        "{gained:,} gained, {lost:,} lost, {moved:,} in another lane. "
        "Searches that named them: {searches:,}.",
        "尚未改动。此操作将改变 {tags:,} 个标签，涉及 {products:,} 件商品，"
        "其中 {changed:,} 件的标签会变：新增 {gained:,}，失去 {lost:,}，换通道 {moved:,}。"
        "提到它们的搜索：{searches:,} 次。",
    ),
    "retagged": (
        "{products:touched product|touched products} tagged again as run {run}.",
        "已为涉及的 {products:,} 件商品重新打标签（批次 {run}）。",
    ),
    "retag_llm": (
        "Tagged with a large model: {products:touched product|touched products}; tag again with "
        "tagmill tag --llm …",
        "{products:,} 件涉及的商品由大模型打过标签，请用 tagmill tag --llm … 重新打标签",
    ),
    "change_undone": (
        "Change {change} is undone ({kind}: {what}): library version {version}.",
        "已撤销改动 {change}（{kind}：{what}）：标签库版本 {version}。",
    ),
    "nothing_to_change": (
        "Nothing to change, it is so already: {what}.",
        "无需改动，已是如此：{what}。",
    ),
    "tags_of_before": (
        "{products:product has|products have} the tags of before.",
        "{products:,} 件商品恢复原有标签。",
    ),
    "library_changed": ("Library version {version}: {what}.", "标签库版本 {version}：{what}。"),
    "exported": (
        "{products:product|products} exported; next time: --since {cursor}",
        "已导出 {products:,} 件商品；下次增量：--since {cursor}",
    ),
    "without_facet": (
        "{count:tag|tags} of no facet, such as {first}: was the facet left out?",
        "{count:,} 个标签没有维度，如 {first}：是否漏写了维度？",
    ),
    "mapping_written": (
        "Make the index with the mapping first: {path}.",
        "请先用此映射建索引：{path}。",
    ),
    "backed_up": ("Backup written to {path}.", "备份已写入 {path}。"),
    "models_apart": (
        "The models are not in it: copy {path} as well.",
        "其中没有模型：请同时复制 {path}。",
    ),
    "source": ("Source", "来源"),
    "log_odds": ("Log-odds", "对数几率"),
    "word": ("Word", "词"),
    "similar": ("Similar product", "相似商品"),
    "similarity": ("Similarity", "相似度"),
    "has_tag": ("Has the tag", "有此标签"),
    "yes": ("yes", "有"),
    "no": ("no", "无"),
    "unknown": ("nobody said", "未标注"),
    "field": ("Field", "字段"),
    "weight": ("Weight", "权重"),
    "fitted": ("fitted", "已拟合"),
    "source_linear": ("words (linear model)", "词（线性模型）"),
    "source_rank": ("rank among the product's tags", "在该商品标签中的名次"),
    "source_names": ("names of the tag in the text", "文中出现的标签名称"),
    "source_frequency": ("how common the tag is", "标签的常见程度"),
    "source_spans": ("values found in the text", "文中找到的取值"),
    "source_others": ("the product's other tags", "该商品的其他标签"),
    "source_taggers": ("further taggers", "其他打标签器"),
    "baseline": ("average of the product's candidates", "该商品候选标签的平均值"),
    "total": ("sum", "合计"),
    "bias": ("(without any word)", "（没有任何词时）"),
    "explained": (
        "{tag}: probability {probability:.3f} ({calibration}), lane {lane}.",
        "{tag}：概率 {probability:.3f}（{calibration}），通道：{lane}。",
    ),
    "tag_share": (
        "{share:.1%} of the training products have it.",
        "训练商品中有 {share:.1%} 带有它。",
    ),
    "named_by": ("Its name stands in {evidence}.", "原文中出现了它的名称：{evidence}。"),
    "not_named": ("No name of it stands in the product.", "商品中没有出现它的任何名称。"),
    "no_candidate": (
        "Tagging does not judge it: other tags' words fit better. If it did, it would come to:",
        "打标签时不会考虑它：其他标签的词更符合。如果考虑，结果如下：",
    ),
    "no_words": (
        "No word of the product has to do with it.",
        "商品中没有与它有关的词。",
    ),
    "only_names": (
        "No example of it was learned from: only its names speak for it, with a prior probability.",
        "没有可学习的样本：只凭名称判断，概率为先验。",
    ),
    "metric_p_at_1": ("P@1", "P@1"),
    "metric_p_at_3": ("P@3", "P@3"),
    "metric_p_at_5": ("P@5", "P@5"),
    "metric_r_at_5": ("R@5", "R@5"),
    "metric_r_at_10": ("R@10", "R@10"),
    "metric_ndcg_at_5": ("nDCG@5", "nDCG@5"),
    "metric_psp_at_5": ("PSP@5", "PSP@5"),
    "metric_precision": ("Precision", "精确率"),
    "metric_recall": ("Recall", "召回率"),
    "metric_micro_f1": ("Micro-F1", "微平均 F1"),
    "metric_macro_f1": ("Macro-F1", "宏平均 F1"),
    "metric_example_f1": ("Example-F1", "逐商品 F1"),
    "metric_ece": ("ECE", "校准误差 ECE"),
    "metric_brier": ("Brier", "Brier 分数"),
    "metric_coverage_at_095": ("Coverage promised 0.95", "承诺 0.95 时的覆盖率"),
    "metric_achieved_precision_at_095": ("… achieved precision", "…… 实际精确率"),
    "metric_coverage_at_090": ("Coverage promised 0.90", "承诺 0.90 时的覆盖率"),
    "metric_achieved_precision_at_090": ("… achieved precision", "…… 实际精确率"),
    "evaluation": ("Evaluation", "评估"),
    "ranking": ("Ranking", "排序"),
    "published_set": ("Published set", "发布的标签"),
    "evaluated": (
        "{products:product|products}, {gold_tags:tag|tags} given by people "
        "({unknown_gold_tags:,} of them unknown to the model: each counts as missed). The lexicon "
        "column is what finding tag names in the text gives, with no training.",
        "{products:,} 件商品，人工标签 {gold_tags:,} 个（其中模型不认识的 {unknown_gold_tags:,} "
        "个，都算漏掉）。“词典”一列是不经训练、只在文中找标签名称的结果。",
    ),
    "promise": (
        "The lane auto promises precision {precision:.2f}. Here it holds {accepted:tag|tags}, "
        "{coverage:.1%} of those people gave, and {achieved_precision:.1%} of it is right.",
        "自动发布通道承诺精确率 {precision:.2f}。这里有 {accepted:,} 个标签，占人工标签的 "
        "{coverage:.1%}，其中 {achieved_precision:.1%} 正确。",
    ),
    "promise_none": (
        "The lane auto promises precision {precision:.2f}. Here nothing is in it.",
        "自动发布通道承诺精确率 {precision:.2f}。这里没有标签进入。",
    ),
    "reliability": ("Reliability", "概率是否可信"),
    "precision_by_found": ("Precision by share of tags found", "找到的比例与精确率"),
    "probability_given": ("probability given", "给出的概率"),
    "share_right": ("share right", "正确的比例"),
    "share_found": ("share of tags found", "找到的标签比例"),
    "bin": (
        "probability {probability:.3f}, right {share:.3f}, {size:tag|tags}",
        "概率 {probability:.3f}，正确 {share:.3f}，{size:,} 个标签",
    ),
    "by_facet": ("By facet", "按维度"),
    "by_examples": ("By number of training examples", "按训练样本数"),
    "by_tag": ("By tag", "按标签"),
    "examples": ("Examples", "样本数"),
    "given": ("Given", "人工标签"),
    "published": ("Published", "发布"),
    "auto_coverage": ("Auto coverage", "自动发布覆盖率"),
    "auto_precision": ("Auto precision", "自动发布精确率"),
    "confusions": ("Most frequent confusions", "最常见的混淆"),
    "confusions_are": (
        "A tag that was missed, and what was published in its place.",
        "漏掉的标签，以及取而代之发布的标签。",
    ),
    "no_confusions": ("None.", "没有。"),
    "missed": ("Missed", "漏掉"),
    "published_instead": ("Published instead", "发布成"),
    "commonest": ("The {shown:,} commonest of {tags:,}.", "{tags:,} 个中最常见的 {shown:,} 个。"),
    "report_written": ("Report: {path}", "报告：{path}"),
    "diversity": (
        "A product gets {tags_per_product:.1f} tags of {facets_per_product:.1f} facets. --diverse "
        "would leave out {redundant_share:.1%} of them; micro-F1 would be {f1:.3f}.",
        "每件商品平均 {tags_per_product:.1f} 个标签，分属 {facets_per_product:.1f} 个维度。"
        "--diverse 会去掉其中的 {redundant_share:.1%}，micro-F1 变为 {f1:.3f}。",
    ),
    "host": ("Host", "发往"),
    "stage": ("Stage", "步骤"),
    "sent": ("Sent", "发送内容"),
    "this_process": ("this process", "本进程"),
    "no_model_set": ("a model that is not set yet", "尚未设置的模型"),
    "row": ("A row is", "一行是"),
    "folder": ("Folder", "文件夹"),
    "taken_as_text": (
        "The workspace has no product with this id: '{product}' is taken as a text.",
        "工作区没有此编号的商品：把“{product}”当作文本。",
    ),
    "prompt_shown": (
        "Prompt {stage}.{language} of the profile {profile}, version {version}. It would go to "
        "{host}; nothing was sent.",
        "方案 {profile} 的提示词 {stage}.{language}，版本 {version}。将发往{host}；现在没有发送。",
    ),
    "prompt_none": (
        "No tag of the library is a candidate: nothing would be sent.",
        "标签库中没有候选标签：不会发送任何内容。",
    ),
    "privacy_replaced": ("Replaced: {kinds}.", "已替换：{kinds}。"),
    "privacy_stays": (
        "The model that is set runs on this machine: it is sent everything, unchanged.",
        "所设模型在本机运行：发送全部内容，不作替换。",
    ),
    "privacy_no_model": (
        "No model is set: this is what one on another machine, or a batch file, would be sent.",
        "尚未设置模型：以上是发往其他机器上的模型或写入批量文件的内容。",
    ),
    "no_source": ("no words of the product", "商品资料中没有依据"),
    "other_language": ("another language", "不是所要的语言"),
    "flagged": ("  ⚑ {text} ({missing})", "  ⚑ {text}（{missing}）"),
    "llm_fitted": (
        "Fitted on {pairs:pair|pairs}, {right:,} right.",
        "已用 {pairs:,} 个商品标签对拟合，其中 {right:,} 个正确。",
    ),
    "llm_auto_from": (
        "Lane auto at 0.95 begins at {auto_from:.3f}.",
        "0.95 的自动发布通道从 {auto_from:.3f} 开始。",
    ),
    "llm_no_auto": (
        "No threshold is shown to hold 0.95: nothing of it goes to the lane auto.",
        "没有阈值能保证 0.95：不会有标签进入自动发布通道。",
    ),
    "asking": ("Asking", "询问大模型"),
    "distilled": (
        "Learned from answers about {asked:product|products}, and about {before:,} of before: "
        "{labels:label|labels}. Model: {model}",
        "从关于 {asked:,} 件商品的新答复和 {before:,} 件商品的旧答复中学习：{labels:,} 个标注。"
        "模型：{model}",
    ),
    "distilled_f1": (
        "micro-F1 {micro_f1_before:.3f} → {micro_f1:.3f}, for {cost:.4g} spent by this command; "
        "answers that were there already were paid before.",
        "micro-F1 {micro_f1_before:.3f} → {micro_f1:.3f}，本次花费 {cost:.4g}；"
        "已有的答复之前已付费。",
    ),
    "plan_asked": ("Products asked about", "询问的商品"),
    "plan_calls": ("Calls", "调用次数"),
    "plan_input": ("Input tokens", "输入 token"),
    "plan_cached": ("of these cached prefixes", "其中前缀缓存"),
    "plan_output": ("Output tokens", "输出 token"),
    "plan_cost": ("Cost", "费用"),
    "plan_minutes": ("Minutes, at a second a request", "分钟数（按每请求一秒）"),
    "plan_over": (
        "{cost:.4g} is more than the budget of {budget:.4g}: the run would end early.",
        "{cost:.4g} 超过预算 {budget:.4g}：运行会提前停止。",
    ),
    "llm_spent": (
        "Large language model: {calls:call|calls} ({failed:,} failed), {reused:answer|answers} "
        "reused, {tokens:token|tokens}, cost {cost:.4g}.",
        "大模型：调用 {calls:,} 次（失败 {failed:,} 次），复用答复 {reused:,} 条，"
        "共 {tokens:,} 个 token，费用 {cost:.4g}。",
    ),
    "llm_taken_over": (
        "{count:answer was|answers were} taken over from near-duplicate products.",
        "{count:,} 条答复沿用了近乎相同的商品的答复。",
    ),
    "llm_undecided": (
        "{count:answer says|answers say} neither yes nor no to a tag: it is judged without.",
        "{count:,} 条答复对标签既没有说是也没有说否：按其余信息判断。",
    ),
    "llm_refused": (
        "The server does not take {options}: it was asked without.",
        "服务器不接受 {options}：已不带这些选项询问。",
    ),
    "llm_failed": (
        "Failed and not tagged: {count:product|products}. What failed and why: {path}.",
        "{count:,} 件商品失败，未打标签；原因见 {path}。",
    ),
    "llm_not_described": (
        "Failed and not described: {count:product|products}. What failed and why: {path}.",
        "{count:,} 件商品失败，未写描述；原因见 {path}。",
    ),
    "llm_unanswered": (
        "Without a usable answer: {count:product|products}. Which and why: {path}.",
        "{count:,} 件商品没有可用的答复；原因见 {path}。",
    ),
    "proposals_written": (
        "{count:new name is|new names are} proposed in {path}.",
        "{count:,} 个新名称作为建议写入 {path}。",
    ),
    "open_evaluated": (
        "With new names: {proposed:,} proposed, {proposed_right:,} right; precision "
        "{precision:.3f}, recall {recall:.3f}, micro-F1 {micro_f1:.3f}; "
        "{unknown_recall:.3f} of the {unknown_gold:,} gold tags that the library lacks are found.",
        "计入新名称：建议 {proposed:,} 个，正确 {proposed_right:,} 个；精确率 {precision:.3f}，"
        "召回率 {recall:.3f}，微平均 F1 {micro_f1:.3f}；标签库没有的 {unknown_gold:,} 个"
        "正确标签中，找到 {unknown_recall:.3f}。",
    ),
    "llm_waiting": (
        "{waiting:product waits|products wait} for answers; {requests:request|requests} written to "
        "{path}.",
        "{waiting:,} 件商品等待答复；{requests:,} 个请求已写入 {path}。",
    ),
    "llm_broken": (
        "Could not be read: {count:line|lines} of the results, the first {example}.",
        "结果中有 {count:,} 行无法读取，第一处：{example}。",
    ),
    "title": ("Title", "标题"),
    "score": ("Score", "得分"),
    "query": ("Query", "搜索词"),
    "indexing": ("Indexing", "建立索引"),
    "indexed": ("{products:product|products} can be found.", "{products:,} 件商品可被搜到。"),
    "affinity": ("Affinity", "偏好"),
    "nothing_to_recommend": ("There is nothing to recommend.", "没有可推荐的商品。"),
    "clicked": (
        "= {tag}? {clicks:,} of {of:click|clicks}",
        "= {tag}？{of:,} 次点击中 {clicks:,} 次",
    ),
    "events_read": (
        "{read:event|events} read, {after:,} after a search, {new:,} new; "
        "{searches:search|searches} besides; {rejected:,} rejected.",
        "读取 {read:,} 条行为（来自搜索 {after:,} 条），新增 {new:,}；"
        "另有搜索 {searches:,} 次；拒绝 {rejected:,}。",
    ),
    "nothing_to_forget": (
        "There is no event of {user}, and nothing else.",
        "没有 {user} 的行为，也没有其他数据。",
    ),
    "event_product": (
        "The workspace has no product with the id '{product}' yet: the event counts once it has.",
        "工作区还没有编号为“{product}”的商品：有了之后这条行为才生效。",
    ),
    "nothing_synced": (
        "{source} has no product that can be read: nothing was taken out.",
        "{source} 中没有可读取的商品：没有下架任何商品。",
    ),
    "tags_of_file": ("{count:tag|tags} of {file}", "{file} 的 {count:,} 个标签"),
    "batch_errors": (
        "{count:answer is|answers are} an error, the first: {example}",
        "{count:,} 条答复是错误，第一条：{example}",
    ),
    "batch_held": (
        "{held:request does|requests do} not fit in the budget of {budget:.4g}: {spent:.4g} are "
        "spent, and the answers to those written should cost {expected:.4g}. Have {path} answered, "
        "and go on with --batch-in.",
        "预算 {budget:.4g} 放不下另外 {held:,} 个请求：已花 {spent:.4g}，已写入的预计花费 "
        "{expected:.4g}。请先取得 {path} 的答复，再用 --batch-in 继续。",
    ),
    "batch_spent": (
        "The rest of the budget of {budget:.4g} should pay for none of "
        "{held:request|requests}: {spent:.4g} are spent. Go on with another --budget (llm.budget).",
        "预算 {budget:.4g} 已花 {spent:.4g}，余额不够其余 {held:,} 个请求中的任何一个。"
        "请换一个 --budget（llm.budget）继续。",
    ),
    "batch_foreign": (
        "{count:answer belongs|answers belong} to no request of this run. Was the model, the "
        "profile, a prompt, the library or an option another when the requests were written?",
        "{count:,} 条答复不属于本次运行的任何请求。写出请求时所用的模型、方案、提示词、"
        "标签库或选项是否不同？",
    ),
    "names_stay": (
        "Names in other languages stay ({names}). Change one with: --language {language}",
        "其他语言的名称保留（{names}）。修改：--language {language}",
    ),
    "two_facets": (
        "Mind that they are of two facets: {source}, {target}.",
        "注意：两者属于不同维度：{source}、{target}。",
    ),
    "not_text": (
        "{value} is not UTF-8. Write it in UTF-8",
        "{value} 不是 UTF-8。请用 UTF-8 书写",
    ),
    "stopped": (
        "stopped; what was stored stays stored",
        "已停止；已存储的内容保留",
    ),
    "empty_workspace": (
        "The workspace has no products yet. Bring them in with: tagmill catalog import",
        "工作区还没有商品。导入：tagmill catalog import",
    ),
    "still_named": (
        "{user} may still be named in {path}, by rows that could not be imported: delete the file.",
        "{path} 中未能导入的行可能仍提到 {user}：请删除该文件。",
    ),
    "forgotten": (
        "Deleted: {count:event|events} of {user}, and what was fitted with them.",
        "已删除 {user} 的 {count:,} 条行为，以及由此得出的一切。",
    ),
    "serving": (
        "Serving {products:product|products} at {url}. Stop with Ctrl-C.",
        "正在 {url} 提供 {products:,} 件商品的搜索和推荐。按 Ctrl-C 停止。",
    ),
    "did_you_mean": ("Did you mean: {query}", "您是不是要找：{query}"),
    "nothing_found": ("Nothing found.", "没有找到商品。"),
    "found": ("{total:product|products} found.", "找到 {total:,} 件商品。"),
    "found_relaxed": (
        "No product matches all of it; {total:matches|match} a part.",
        "没有商品符合全部条件；{total:,} 件符合一部分。",
    ),
    "products_of_tags": ("Tags, and how many products", "标签及商品数"),
    "next_page": ("Next page: --after {cursor}", "下一页：--after {cursor}"),
    "promise_held": (
        "Lane auto, promised {precision:g}: {coverage:.3f} of the given tags, precision "
        "{achieved_precision:.3f} ({accepted:tag|tags}).",
        "自动发布承诺 {precision:g}：覆盖给定标签的 {coverage:.3f}，实际精确率 "
        "{achieved_precision:.3f}（{accepted:,} 个标签）。",
    ),
    "seen_in_training": (
        "{seen:product is|products are} among those that the model remembers of its training, of "
        "{count:,} here: what it says of these is better than of new ones. Give others.",
        "这里的 {count:,} 件商品中，有 {seen:,} 件模型在训练中见过：它对这些的判断好于对新商品的。"
        "请换用其他商品。",
    ),
    "unknown_gold": (
        "Of {gold:given tag|given tags} the model has no examples of {unknown:,}: these count as "
        "missed. If they are only spelled otherwise, see tagmill train --merge-variants.",
        "{gold:,} 个给定标签中，模型没有 {unknown:,} 个的样本，都算漏掉。如果只是写法不同，"
        "见 tagmill train --merge-variants。",
    ),
    "held_out": (
        "No file given: trained on four fifths of the workspace's tagged products, measured on "
        "the other fifth.",
        "未指定文件：用工作区五分之四的已标注商品训练，在其余五分之一上评估。",
    ),
}


# What stands in a column: states and kinds, which are English words everywhere else.
WORDS: dict[str, str] = {
    "running": "运行中", "finished": "已完成", "undone": "已撤销", "failed": "失败",
    "active": "有效", "proposed": "待定", "retired": "停用",
    "open": "待处理", "accepted": "已采纳", "merged": "已并入", "rejected": "已拒绝",
    "tag": "打标签", "add": "新增", "alias": "别名", "rename": "改名", "merge": "合并",
    "describe": "说明",
    "split": "拆分", "retire": "停用", "restore": "恢复", "move": "移动", "facet": "维度",
    "import": "导入", "undo": "撤销", "update": "更新",
    "proposal accepted": "采纳提议", "proposal merged": "并入提议",
    "person": "人工", "lexicon": "词典", "model": "模型", "llm": "大模型", "spans": "抽取器",
    "starter library": "入门标签库",
    "phone": "电话", "id_card": "身份证号", "bank_card": "银行卡号", "email": "邮箱",
    "address": "地址", "name": "人名", "wechat": "微信号", "qq": "QQ 号",
    "single": "单值", "only_for": "仅适用于", "value_kind": "取值", "unit": "单位",
    "untagged": "没有标签的商品", "yes": "是", "no": "否",
}  # fmt: skip


class _Formatter(Formatter):
    """A number says which words follow it: `{count:tag|tags}` is "1 tag" or "2 tags"."""

    def format_field(self, value: object, format_spec: str) -> str:
        one, counts, many = format_spec.partition("|")
        if not counts:
            return str(super().format_field(value, format_spec))
        return f"{value:,} {one if value == 1 else many}"


_FORMATTER = _Formatter()


def word(text: str) -> str:
    """A state or kind in the terminal's language; as it is where it has no other."""
    return WORDS.get(text, text) if interface_language() == "zh" else text


def label(key: str) -> str:
    """A field of a record in the terminal's language; in English its key."""
    return say(key) if interface_language() == "zh" and key in MESSAGES else word(key)


def say(key: str, **values: object) -> str:
    """The message of a key in the terminal's language, filled in."""
    english, chinese = MESSAGES[key]
    return _FORMATTER.vformat(chinese if interface_language() == "zh" else english, (), values)
