"""People's names in a text.

A name counts only where something says that it is a person's: a word before it (收货人, `Attn:`),
or the phone or card it stands beside. Without that, brands and styles are people's names too.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["names"]

_SURNAMES = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章云苏潘葛奚范彭郎鲁韦昌马苗凤花"
    "方俞任袁柳鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于时傅皮卞齐康伍余元卜顾孟平黄和穆萧尹姚邵湛汪祁毛禹狄米贝明"
    "臧计伏成戴谈宋茅庞熊纪舒屈项祝董梁杜阮蓝闵席季麻强贾路娄危江童颜郭梅盛林刁钟徐邱骆高夏蔡田樊胡凌霍虞万支柯管卢"
    "莫房解应宗丁宣邓郁单杭洪包诸左石崔吉龚程邢裴陆荣翁荀羊惠甄曲封靳松段富巫乌焦巴牧隗谷车侯全班仰秋仲伊宫宁仇栾甘"
    "厉祖武符刘景詹束龙叶幸司黎溥印宿白怀蒲邰从鄂索籍赖卓蔺屠蒙池乔阳胥苍闻党翟谭贡姬申扶冉宰郦雍桑桂牛寿通边扈燕冀"
    "浦尚农温别庄晏柴瞿阎充慕连茹习艾鱼容向古易慎戈廖庾终居衡步都耿满匡文寇广禄阙东欧沃利蔚越隆师巩聂晁勾敖融冷辛那"
    "简饶曾沙鞠丰关相查游竺权盖益桓公岳帅覃佟佘牟兰付肖闫代邸苟涂阿"
)
_COMPOUND = (
    "欧阳|上官|司马|诸葛|夏侯|东方|皇甫|尉迟|公孙|慕容|令狐|司徒|轩辕|端木|南宫|独孤|宇文|长孙"
)
_FREQUENT = (  # that begin few words
    "王李张刘陈杨赵吴周徐孙朱胡郭何林罗郑梁谢宋唐许邓冯韩曹曾彭萧肖蔡潘袁董余叶程魏薛吕丁沈任姚卢姜崔钟谭陆汪范廖贾韦付邹孟秦闫侯邱尹"
    "黎贺龚黄马苏蒋田"
)
_TITLE = "先生|女士|小姐|太太|经理|老师|老板|总监|厂长|师傅|主任|店长|总"
_HAN = "[\u4e00-\u9fff]"
_HAN_CUE = re.compile(
    r"(?:(?:收货|收件|联系|联络|连络|寄件|发件|签收|提货|代收|负责|经办|持证|持卡|开户|收款|付款|取件|自提|退货|订货|乘机|乘车"
    r"|入住|投保|申请|监护|受益)人(?:的?(?:姓名|名字))?|(?:买家|客户|顾客|会员|旅客|乘客|真实)?姓名|户名|业务联系"
    r"|(?:收件|收货|寄件|买家|客户|顾客|旅客|乘客)(?=[:【])"
    r"|(?i:(?<![A-Za-z])(?:contact(?: person)?|recipient|receiver|consignee|passenger|attn"
    r"|(?:customer|buyer|client|full))(?: name)?(?=\s?:)))"
    r"(?P<gap>\s*[:=]\s*|\s?[【\[(「“]\s?|\s?[-/|→]\s?|[是叫为]\s?:?\s?|\s+|)"
)
# Of a product too: a person's only where it is all there is and has the form of few words else.
_HAN_AFTER_NAME = re.compile(
    rf"(?i:(?<![A-Za-z] )(?<![A-Za-z])name|名字)\s*:\s*(?P<name>{_HAN}{{2,4}})\s*$"
)
_HAN_NAME = re.compile(
    rf"(?:(?:{_COMPOUND}) ?(?:{_TITLE}|{_HAN}{{1,2}}?)|[{_SURNAMES}](?:{_TITLE}|{_HAN}{{1,2}}?)"
    rf"|[小老][{_SURNAMES}]|[{_SURNAMES}] {_HAN}|[{_SURNAMES}][{_SURNAMES}]{_HAN}{{1,2}}?"
    rf"|{_HAN}{{2,6}}·{_HAN}{{2,8}}?)"
    rf"(?:{_TITLE})?"
    rf"(?!{_HAN}|·)"
)
# With a title (王经理, 李姐) beside a phone, or after a word for turning to someone.
_TITLED = re.compile(
    rf"(?:(?P<cue>联系|联络|致电|寄给|咨询|找|问)\s?|(?<!{_HAN}))"
    rf"(?P<name>(?:{_COMPOUND}|[小老]?[{_SURNAMES}]){_HAN}{{0,2}}?\s?(?:{_TITLE}|[姐哥]))"
    rf"(?=收?(?!{_HAN}))"
)
# By itself between marks, as in a line of a parcel.
_ALONE = re.compile(
    rf"(?:(?<!{_HAN})|(?<=打到|联系|联络|致电|咨询|记者|客服|店主|老板|经理|司机|师傅|老师|主播|主任|同事|朋友|房东|助理|本人|我叫|我是|店长|掌柜|销售|导购|顾问|管家|团长|群主|采购)"
    r"|(?<=老板娘)|(?<=[给找员和与及]))"
    rf"(?P<name>(?:{_COMPOUND}){_HAN}{{1,2}}?|[小老][{_FREQUENT}]|[{_SURNAMES}]{_HAN}{{1,2}}?)"
    rf"(?=(?:收|的?(?:联系)?(?:电话|手机|微信|号码)(?:号码?)?[是为]?)?(?!{_HAN})|[和与及][小老{_SURNAMES}])"
)
_AND = re.compile(r"\s?[、,/&和与及]\s?")
# Beside a phone or an address alone: a surname that begins few words, and what people are called.
_PERSON = re.compile(
    rf"[小老][{_FREQUENT}]|(?:{_COMPOUND}|[{_FREQUENT}阿])"
    "[芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红建国伟雷德志文斌波辉鹏宇浩婷雪琳佳欣怡慧燕玲莉兰凤珍莲翠云雅洁"
    "倩颖晶瑶萱涵梓轩泽晨阳俊豪博凯毅峰林龙飞翔海东松彬健康宁安永福生贵富春梅小大晓思雨诗梦琪少振世正宏鸿庆学家嘉佩淑惠"
    "美菲蕾薇莹媛婉嫣妍娇丹坤鑫森江帆航远旭昊昕晗瑞瑾璐珊珂琴瑜璇绍继维守克义仁智忠良贤娥伦哲恒达立铭锋锐钢栋楠桐]{1,2}|张三|李四|王五"
)
_COMMON_WORD = re.compile(
    r"(.)\1|包邮|安装|全国|高清|白色|黄色|金色|方便|马上|时尚|常年|支持|查询|费用|单价|平方|通知|通用|全新|全部|齐全|成都|广州|金牌"
    "|温州|杭州|苏州|常州|郑州|徐州|台州|贵州|广东|江苏|江西|安徽|云南|宁波|宁夏|金华|武汉|花园|水果|车间|车主|农行|平安"
    "|华夏|广发|成交|应付|关注|明天|毛重|封面|游客|康师傅|于是|万元|后付|房东|厂|路口|门店|咨询|管理|应急|强力|多谢|温馨|后付"
    "|朱红|杨梅|黄梅|黄玉|黄海|黄龙|李宁|苏宁|马达|马克|韩国|王国|周大"
)
_BETWEEN = re.compile(
    r"[收的]?[\s,:;/|(（、-]{0,3}(?:(?:联系)?(?:电话|手机|号码|方式)|身份证|tel)?(?:号码?)?[\s:是为]{0,2}",
    re.IGNORECASE,
)
# What may follow a name without a space between.
_HAN_FOLLOWS = re.compile(
    r"收(?!货人|件人)|电话|手机|地址|微信|号码|联系|身份证|性别|生日|邮编|已|请|放|代收|亲收|签收"
)
_NO_HAN_NAME = re.compile(
    r"管理|方式|常用|应急|安全|单位|和|通讯|全部|万能|时|相同|项|都|成员|查看|关联|应与|广告|公司"
    r"|印章|贴|章|牌|别|文字|通用|满|强制|高清|白名单|黑名单|花名|平台|向|明细|解锁|包装|计"
)


_CAPITALISED = r"(?:(?:O['’]|Mc|Mac|De|Di|Le)?[A-Z][a-zé]+(?:[-'’][A-Z][a-z]+)?)"
_LATIN_NAME = re.compile(
    rf"(?P<title>(?:Mr|Mrs|Ms|Miss|Dr)\.? )?"
    rf"{_CAPITALISED}(?: (?:[A-Z]\.|(?:(?:van|von|de|der|del|la|bin|al) )?{_CAPITALISED})){{0,2}}"
    r"(?![A-Za-z'’])"
    r"|[A-Z]{2,15} [A-Z]{2,15}(?![A-Za-z])"
)
_TWO_WORDS = re.compile(
    r"[A-Za-z]{2,15} [A-Za-z]{2,15}(?= ?(?:$|[^\sA-Za-z'’-]|(?i:tel|phone|mobile|cell|call)\b))"
)
_PINYIN = re.compile(
    "(?:(?:[zcs]h|[bpmfdtnlgkhjqxrzcsyw])?(?:i?ang|uang|i?ong|eng|ing|i?an|u?an|uai|i?ao|ai|u?ei"
    "|ui|ou|iu|ie|[uv]e|er|en|in|[uv]n|ia|u?[ao]|[eiuv])){1,2}"
)
_OF_THINGS = re.compile("(?:receiver|passenger|travell?er|attention|customer|your)$", re.IGNORECASE)
# What people are called does not end so, what many things or people are called does.
_NO_SURNAME = re.compile(r"(?:(?<!nd)ers|[^aeious]s|tion|sion|ing|ness|ment|ity|ed|ly|able|ful)$")
_LATIN_CUE = re.compile(
    r"(?<![A-Za-z])(?:(?P<before>[A-Za-z]+) )??(?P<cue>contact(?: person| name)?"
    r"|recipient(?: name)?|receiver(?: name)?|attn|attention|sender|consignee"
    r"|ship(?:ped|ping)? to|deliver(?:ed|y)? to|passenger|travell?er|addressee|beneficiary|payee"
    r"|(?:customer|buyer|full|first|last|your|cardholder)(?: name)?|name"
    r"|(?P<ask>(?:shipping|delivery) address|call(?:ing)?|text|ring|message|ask for"
    r"|speak (?:to|with)))"
    r"(?P<gap>\.?\s*[:=]\s*| - |\.? )",
    re.IGNORECASE,
)
_GIVEN_NAMES = frozenset(
    (
        "aaron adam alan albert alex alexander alice amanda amy andrea andrew angela anna anne "
        "anthony ashley barbara ben benjamin betty bill bob brandon brenda brian carl carlos "
        "carol caroline catherine charles charlotte chloe chris christian christina christine "
        "christopher cindy claire daniel david deborah dennis diana donald donna dorothy edward "
        "elena elizabeth ella ellen emily emma eric ethan eva evelyn fatima frank gary george "
        "grace gregory hannah harry heather helen henry ian irene isabella jack jacob james "
        "jane janet jason jean jeffrey jennifer jenny jessica jim joan joe john jonathan jose "
        "joseph joshua juan judith judy julia julie justin karen kate katherine kathleen kelly "
        "kenneth kevin kim kyle larry laura lauren leo leon linda lisa louis lucas lucy luis "
        "luke maria marie mark martha martin mary matthew megan melissa michael michelle miguel "
        "mike mohamed mohammed muhammad nancy natalie nathan nicholas nick nicole nina noah "
        "oliver olivia pamela patricia patrick paul peter philip rachel raymond rebecca richard "
        "robert roger ronald rose ruth ryan sam samantha samuel sandra sara sarah scott sean "
        "sharon simon sophia sophie stephanie stephen steve steven susan tanya teresa thomas "
        "tim timothy tom tony tyler victoria vincent walter wendy william zoe"
    ).split()
)
_CHINESE_SURNAMES = frozenset(
    (
        "cai cao chan chen cheng cheung chow cui deng ding dong du fan fang feng fu gao gu guo "
        "han he huang jia jiang jin kong lai lam lau lee lei leung li liang liao lin liu long "
        "lu luo ma meng ng pan peng qian qin ren shao shen shi song su sun tan tang tian tsai "
        "wang wei wen wong wu xia xiao xie xiong xu xue yan yang yao ye yin yu yuan zeng zhang "
        "zhao zheng zhong zhou zhu zou"
    ).split()
)
_NO_LATIN_NAME = frozenset(
    (
        "account accounts address amazon any apple at australia baby boys brand by canada card "
        "center centre china company contact country customer customers dad daughter day "
        "delivery department dept desk details ebay email europe father female for form free "
        "friend friends from germany gift girlfriend girls group help her him home hotel house "
        "husband information inquiries japan kids kingdom lens lenses london lot male man "
        "manager marketing me men mom mother mum no none office online only order our paper "
        "partner person phone please private product purchasing reception returns sales seller "
        "service services shipping shop son staff states store stores supplier support tag team "
        "teacher tel the them this to uk united unisex us usa via warehouse wechat whatsapp "
        "wholesale wife with woman women worldwide you your"
    ).split()
)
# Whose name is the product's own: `Brand Name: Oxford Court`.
_THINGS = frozenset(
    (
        "product brand item model file colour color style display company store shop trade "
        "common scientific latin domain user series set generic game movie character design "
        "pattern fabric material variant category collection seller supplier manufacturer team "
        "pet dog cat"
    ).split()
)
_PRODUCTS = frozenset(
    (
        "bag bed blouse boot boots bottle bowl box bracelet cap chair coat collar collection "
        "cup desk doll dress earrings gown hat hoodie jacket jeans jersey lamp lipstick mirror "
        "mug necklace pants perfume pillow plate poster print purse ring robe rug sandal "
        "sandals scarf shirt shoe shoes shorts skirt sneaker sneakers sofa stool sweater table "
        "tee top towel toy vase wallet watch"
    ).split()
)
_NEAR = 80  # characters between a bare `Name:` and what else tells a person

Spans = Sequence[tuple[int, int]]


class _Others:
    """Where other personal data stands, for questions of what is next to it."""

    def __init__(self, text: str, spans: Spans) -> None:
        self._text = text
        self._starts = sorted(start for start, _ in spans)
        self._ends = sorted(end for _, end in spans)

    def beside(self, start: int, end: int) -> bool:
        """Whether only a mark, or the word for a phone, stands between `[start, end)` and one."""
        first, last = bisect_left(self._starts, end), bisect_right(self._ends, start)
        after, before = self._starts[first : first + 1], self._ends[max(0, last - 1) : last]
        gaps = [(end, other) for other in after] + [(other, start) for other in before]
        return any(
            right - left <= 10 and _BETWEEN.fullmatch(self._text, left, right)
            for left, right in gaps
        )

    def near(self, start: int, end: int) -> bool:
        """Whether one begins or ends at most `_NEAR` characters away."""
        places = (self._starts, self._ends)
        return any(
            bisect_left(ordered, start - _NEAR) < bisect_right(ordered, end + _NEAR)
            for ordered in places
        )


def names(text: str, others: Mapping[str, Spans]) -> Iterator[tuple[int, int]]:
    """Names of people in a text folded by `redaction.legible`, as `(start, end)`.

    `others` are the spans of other personal data by kind: a name beside a phone is a person's.
    """
    yield from _after_a_cue(text)
    yield from _beside_others(text, others)
    everything = _Others(text, [span for spans in others.values() for span in spans])
    for cue in _LATIN_CUE.finditer(text):
        if span := _latin_name(text, cue, everything):
            yield span


def _after_a_cue(text: str) -> Iterator[tuple[int, int]]:
    for cue in _HAN_CUE.finditer(text):
        told = cue["gap"].strip() and not cue.group()[0].isascii()
        span = _han_name(text, cue.end(), told=bool(told))
        sure = cue["gap"].isspace() or ":" in cue["gap"]
        if span and (
            sure or not (_NO_HAN_NAME.match(text, *span) or _COMMON_WORD.match(text, *span))
        ):
            yield from _and_others(text, span)
    alone = _HAN_AFTER_NAME.search(text)
    if alone and _PERSON.fullmatch(alone["name"]) and not _COMMON_WORD.match(alone["name"]):
        yield alone.span("name")


def _and_others(text: str, first: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """A name and those that follow it: 张伟、李强."""
    span: tuple[int, int] | None = first
    while span:
        yield span
        mark = _AND.match(text, span[1])
        span = _han_name(text, mark.end(), told=False) if mark else None
        if span and not _PERSON.fullmatch(text, *span):
            return


def _beside_others(text: str, others: Mapping[str, Spans]) -> Iterator[tuple[int, int]]:
    phones, places = others.get("phone", ()), others.get("address", ())
    reached = _Others(text, [*phones, *places])
    for match in _TITLED.finditer(text):
        if match["cue"] or reached.beside(*match.span("name")):
            yield match.span("name")
    for match in _LATIN_NAME.finditer(text) if phones or places else ():
        words = match.group().lower().split()
        known = match["title"] or words[0] in _GIVEN_NAMES
        if len(words) > 1 and known and reached.beside(*match.span()):
            yield match.span()
    owned = [*others.get("bank_card", ()), *others.get("id_card", ())]
    if places:  # 刘强，13655556666，福建省…
        owned += phones
    owning = _Others(text, owned)
    if owned or phones or places:
        yield from _alone(text, reached, owning)


def _alone(text: str, reached: _Others, owning: _Others) -> Iterator[tuple[int, int]]:
    """Names that stand by themselves, where personal data is beside the last of a row of them."""
    row: list[tuple[int, int]] = []
    for match in _ALONE.finditer(text):
        name, span = match["name"], match.span("name")
        if _COMMON_WORD.match(name):
            continue
        is_person = _PERSON.fullmatch(name) is not None
        if row and not _AND.fullmatch(text, row[-1][1], span[0]):
            row = []
        if owning.beside(*span) or (is_person and reached.beside(*span)):
            yield from (*row, span)
            row = []
        elif is_person:
            row.append(span)


def _han_name(text: str, start: int, *, told: bool) -> tuple[int, int] | None:
    """The name that starts here, after a Chinese cue, and ends at what may follow a name.

    Where a colon told that a name comes, it may be in Latin letters.
    """
    end = min(len(text), start + 16)
    follows = _HAN_FOLLOWS.search(text, min(start + 2, end), end)
    match = _HAN_NAME.match(text, start, follows.start() if follows else len(text))
    if match is None and told:
        match = _any_case_name(text, start) or _LATIN_NAME.match(text, start)
        if match and not _NO_LATIN_NAME.isdisjoint(match.group().lower().split()):
            return None
    return match.span() if match else None


def _any_case_name(text: str, start: int) -> re.Match[str] | None:
    """Two words that are a name however they are written: jane doe, Zhang wei."""
    match = _TWO_WORDS.match(text, start)
    if match is None or not _NO_LATIN_NAME.isdisjoint(match.group().lower().split()):
        return None
    first, second = match.group().lower().split()
    chinese = (first in _CHINESE_SURNAMES and _PINYIN.fullmatch(second)) or (
        second in _CHINESE_SURNAMES and _PINYIN.fullmatch(first)
    )
    return match if first in _GIVEN_NAMES or chinese else None


def _ends_there(match: re.Match[str], words: list[str]) -> bool:
    """Whether a bare `Name: …` is all there is, and no product's (`Name: Charlotte Dress`)."""
    ends = re.match(r"\s*(?:[,;.|]|$)", match.string[match.end() :], re.MULTILINE)
    return ends is not None and words[-1] not in _PRODUCTS


def _latin_name(text: str, cue: re.Match[str], others: _Others) -> tuple[int, int] | None:
    """The name in Latin letters that a cue tells of."""
    if (cue["before"] or "").lower() in _THINGS:
        return None
    told = cue["gap"].strip(". ") != "" and cue["cue"].lower() != "name"
    if told and (match := _any_case_name(text, cue.end())):
        return match.span()
    match = _LATIN_NAME.match(text, cue.end())
    return match.span() if match and _is_latin_name(match, cue, others) else None


def _is_latin_name(match: re.Match[str], cue: re.Match[str], others: _Others) -> bool:
    words = re.findall(r"[A-Za-z'’é-]+", match.group().lower())
    if not _NO_LATIN_NAME.isdisjoint(words):
        return False
    told = cue["gap"].strip(". ") != ""
    known = match["title"] is not None or words[0] in _GIVEN_NAMES
    known = known or (words[0] in _CHINESE_SURNAMES and (told or len(words) > 1))
    near = others.near(*match.span())
    if cue["ask"]:
        return known and near
    if cue["cue"].lower() == "name":
        return told and (near or (known and _ends_there(match, words)))
    if known or not told or re.match(" [a-z]", match.string[match.end() :][:2]):
        return known
    # Of words that are no known name: Priya Raman, and not Reviews or Dog Lovers.
    is_thing = _OF_THINGS.match(cue["cue"]) or _NO_SURNAME.search(words[-1])
    return near or (len(words) > 1 and not is_thing)
