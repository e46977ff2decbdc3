"""Phone numbers, identity cards and bank cards in a text, and what is only a number.

Every function takes a text folded by `redaction.legible` and gives `(start, end)` pairs. A
catalogue is full of numbers: what tells a person's is its form (area code, check digit), what
stands before it (电话, `tel`; or 货号, `SKU`), and that no letters or digits touch it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from itertools import pairwise

__all__ = ["bank_cards", "id_cards", "is_bank_card", "is_id_card", "phones"]

# No letter or digit touches the number, nor one with a hyphen between: AB-13800138000, id=138…;
# ?phone=138… and wa.me/138… are a person's.
_LEFT = (
    r"(?:(?<![0-9A-Za-z+])(?<![A-Za-z]/)(?<![0-9A-Za-z][-.=])"
    r"|(?<=phone=)|(?<=mobile=)|(?<=cell=)|(?<=tel=)|(?<=whatsapp=)|(?<=contact=)|(?<=wa\.me/))"
)
_RIGHT = r"(?![-.]?[0-9])(?!-?(?!vx|wx|v信|wechat|qq|ext)[A-Za-z_])"
_BEFORE = 40  # characters in which a cue stands

_PRODUCT_CUE = re.compile(
    r"(?:[货款编单序票料图版文]号|[编代]码|订单|条形?码|型号|批[号次]|序列[号码]?|专利号|许可证|注册号|证书|链接|原厂|尺[寸码]|规格"
    r"|(?:发票|合同|凭证|流水|备案|登记|批准|设备|机身|出厂|车架|零件|配件|产品|商品|物料|防伪|追溯)[号码]|商品\s?id"
    r"|sku|item|part|model|tracking|serial|s/?n|lot|batch|ean|upc|gtin|isbn|imei|barcode"
    r"|art(?:icle)?|ref|style|mpn|asin|sizes?|dimensions?|(?:order|invoice)\s?(?:no|number|id|#)"
    r"|(?<![a-z])(?:no|id|oem?|p/?n|code|invoice|replaces)|https?\S*|www\.\S*"
    r"|(?:宝马|bmw)(?:\s?[a-z]?\d[\w系]{0,3}){0,3})"
    r"(?:[\s.:#-]|no|number|号|码|为|是)*$",
    re.IGNORECASE,
)
_AMOUNT_CUE = re.compile(
    r"(?:[¥￥$€£]|(?<![a-z])(?:rmb|cny|usd|eur|revenue|profit|population)(?:\sof)?"
    r"|(?:播放|浏览|阅读|点击|访问|下载|搜索|观看|销售?|产|出货|发行|交易|成交|保有|用户|总|存|人)[量数]|粉丝数?|人口"
    r"|(?:销售|成交|交易|营业|总|金|投资|贷款|出口)额|营收|收入|利润|耗资|斥资|投资|融资|市值|估值|价值|票房|造价"
    r"|预算|成本)[\s:为是达到至约超近了]*$",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"\s?(?:[多余]?[万亿](?![达科能])|(?:[美欧日韩港英澳加]|人民币)?元(?![旦宝素])|块钱|人民币|美[金刀]|[美欧日]圆|円"
    r"|人次|[人名户份笔次个件](?![\u4e00-\u9fff])|[辆吨册枚]|千克|公[斤里]|平方|字节|毫[米升克]|厘米"
    r"|(?:yuan|rmb|cny|usd|eur|dollars?|euros?|views?|users?|people|times|units?|pcs|pieces|plays"
    r"|downloads?|followers|visits|clicks|bytes|items|tons?|[mc]m|k?g|ml)(?![a-z]))",
    re.IGNORECASE,
)
_FILLER = (
    r"(?:[\s.:=#/(\-]|号码?|同号|是|为|请|拨打|致电|\b(?:us|me|at|on|no|number|or|seller|is)\b)*$"
)
# `call Jane Doe at`, `reach our shop on`
_SOMEONE = (
    r"(?:\s(?:us|me|him|her|them|my|our|the|seller|shop|store|office|team|now|today"
    r"|(?-i:[A-Z][\w'’.-]*))){0,4}\s(?:at|on|to)\b"
)
# After these any number of seven digits or more is one to call.
_PHONE_CUE = re.compile(
    r"(?:电话|手机号|(?<!发票|订单|合同|凭证|流水|商品|产品|零件|配件|设备|批次|专利|注册|备案)号码|联系方式"
    r"|热线|专线|致电|拨打|[请可]拨|打给|来电|传真|座机|短信"
    r"|(?<![a-z])(?:tel|telephone|fax|call|dial|whatsapp|wa\.me|hotline|phone(?:\s(?:no|number)\b|\s?[:=])"
    r"|(?:my|our|his|her|their|contact)\snumber\b"
    rf"|(?:call(?:ing|ed)?|phone|phoning|dial|reach(?:ed)?|contact|message|text|ring"
    rf"|(?:speak|talk)\s(?:to|with)){_SOMEONE}|call(?:ing)?(?:\s(?-i:[A-Z][a-z'’.-]*)){{1,3}}\s?:"
    r"|(?:mobile|cell|text|ring)(?:\s?[:=]|\s(?:us|me|at|on)\b)))" + _FILLER,
    re.IGNORECASE,
)
# These also stand before models and sizes.
_WEAK_PHONE_CUE = re.compile(
    r"(?:手机|咨询|联系|客服|售后|微信|(?<![a-z])(?:phone|mobile|cell|text|ring|contact|m(?=:)))"
    + _FILLER,
    re.IGNORECASE,
)
_APART = r"(?: ?- ?| |·)"  # between groups of digits; the groups make it a mobile's
_MOBILE = re.compile(
    _LEFT
    + r"(?:(?<!\d[ .,、/_|-])1([ .,、/_|-])[3-9](?:\1\d){9}(?!\1\d)"
    rf"|(?:\(?(?:\+|00)?86\)?{_APART}?|0)?(?:\(1[3-9]\d\) ?\d{{4}}{_APART}?\d{{4}}"
    r"|(?<!\d[/_,、|*~])(?<!\d[/_,、|*~] )1[3-9]\d ?([./_,、|*~]) ?\d{4} ?\2 ?\d{4}(?! ?\2 ?\d)"
    r"|1[3-9]\d(?:A?\d{4}A?\d{4}|A\d{3}A(?:\d{5}|\d{3}A\d{2})"
    r"|\dA(?:\d{4}A\d{3}|\d{3}A\d{4}|\d{7})|\d{2}A(?:\d{6}|\d{3}A\d{3})"
    r"|\d{3}A\d{5})))".replace("A", _APART)
    + _RIGHT,
    re.IGNORECASE,
)
_EXTENSION = r"(?:\s?(?:转|ext\.?|-)\s?\d{1,6})?"
_LANDLINE = re.compile(
    _LEFT + r"(?:(?:\(0(?:10|2\d|[3-9]\d\d)\)[ -]?|0(?:10|2\d|[3-9]\d\d) ?- ?)\d{3,4}[ -]?\d{4}"
    r"|0(?:10|2\d|[3-9]\d\d) [2-8]\d{3} ?\d{4}"
    r"|(?<![A-Za-z] )\(?09\d\d\)?([ -])\d{3}\1?\d{3})"  # a mobile in Taiwan
    + _EXTENSION + _RIGHT,
    re.IGNORECASE,
)  # fmt: skip
_NORTH_AMERICAN = re.compile(
    _LEFT
    + r"(?:1[-. ][2-9]\d\d[-. ]|(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d-))[2-9]\d\d[-. ]\d{4}"
    + _EXTENSION
    + _RIGHT,
    re.IGNORECASE,
)
_INTERNATIONAL = re.compile(
    r"(?<![0-9A-Za-z+])\+(?:1[ .-]?\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{4}"
    r"|[2-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,5}(?:[ .-]?\d{2,8}){1,4})" + _RIGHT,
    re.IGNORECASE,
)
_AFTER_CUE = re.compile(
    r"(?<![0-9A-Za-z])\+?\(?\d{1,12}\)?(?:[ .-]{0,3}\(?\d{2,12}\)?){0,4}" + _EXTENSION + _RIGHT,
    re.IGNORECASE,
)


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Phone numbers: mainland mobiles, landlines and numbers with a country code anywhere,
    North American ones in their usual form, any other after a cue.
    """
    for pattern in (_MOBILE, _LANDLINE, _INTERNATIONAL, _NORTH_AMERICAN):
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - _BEFORE) : match.start()]
            signed = match.group().startswith(("+", "(+")) and len(match.group()) > 8
            if signed or _is_to_call(before) or not _is_other_number(match, before):
                yield match.span()
    for match in _AFTER_CUE.finditer(text):
        if _is_phone_after_cue(
            match.group(), text[max(0, match.start() - _BEFORE) : match.start()]
        ):
            yield match.span()


def _is_to_call(before: str) -> bool:
    return _PHONE_CUE.search(before) is not None


def _is_other_number(match: re.Match[str], before: str) -> bool:
    """Whether it has the form of a phone number, but is an article, an amount or sizes in a row."""
    if _PRODUCT_CUE.search(before):
        return True
    if match.re is not _MOBILE:
        return match.re is _INTERNATIONAL  # +50000: a count
    if _is_series(match.group()) or _UNIT.match(match.string, match.end()):
        return True
    return match.group().isdigit() and _AMOUNT_CUE.search(before) is not None


def _is_phone_after_cue(number: str, before: str) -> bool:
    groups = re.findall(r"\d+", number)
    digits = sum(map(len, groups))
    # A date or a row of sizes ends in a short group.
    if not 7 <= digits <= 15 or (len(groups[-1]) < 3 and len(groups[-2]) < 3):
        return False
    if _is_series(number):
        return False
    if _is_to_call(before):
        return True
    sure = digits >= 10 and (len(groups) < 4 or number[0] in "+(0")
    return sure and _WEAK_PHONE_CUE.search(before) is not None


_PROVINCES = frozenset(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 "
    "71 81 82 83".split()
)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CARD = re.compile(_LEFT + r"[1-9](?:[ -]?\d){13,16}(?:[ -]?[0-9Xx])?(?![0-9A-Za-z])")
_ID_CUE = re.compile(
    r"(?:身份证|证件|公民身份)(?:号码?|编号)?[\s:是为]*$|(?<![a-z])id(?:entity)?\s(?:card|number|no)\b[\s.:#]*$",
    re.IGNORECASE,
)


def id_cards(text: str) -> Iterator[tuple[int, int]]:
    """Mainland identity cards: 18 characters whose date and check digit are right; after a cue
    also with a mistyped check digit, and the old form of 15 digits.
    """
    for match in _ID_CARD.finditer(text):
        number = re.sub(r"[ -]", "", match.group()).upper()
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        cue = _ID_CUE.search(before) is not None
        if is_id_card(number) or (cue and _has_birthday(number)):
            yield match.span()


def is_id_card(number: str) -> bool:
    """Whether 18 characters are an identity card number by GB 11643: region, date, check digit."""
    if len(number) != 18 or not _has_birthday(number):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _ID_WEIGHTS, strict=False))
    return number[17] == "10X98765432"[total % 11]


def _has_birthday(number: str) -> bool:
    """Whether region and date of birth stand in their place, of 15 or 18 characters."""
    if len(number) not in (15, 18) or number[:2] not in _PROVINCES or "X" in number[:17]:
        return False
    birthday = number[6:14] if len(number) == 18 else "19" + number[6:12]
    if not "1900" <= birthday[:4] <= "2099":
        return False
    try:
        date(int(birthday[:4]), int(birthday[4:6]), int(birthday[6:]))
    except ValueError:
        return False
    return True


# Issuer prefix → lengths. Visa's old 13 digits and Diners' 14 look like barcodes: after a cue only.
_SCHEMES = (
    (re.compile(r"62"), (16, 17, 18, 19)),
    (re.compile(r"4"), (16, 19)),
    (re.compile(r"5[1-5]"), (16,)),
    (re.compile(r"2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"35(?:2[89]|[3-8])"), (16,)),
    (re.compile(r"6011|65|64[4-9]"), (16,)),
)
_CARD = re.compile(
    _LEFT + r"(?:\d{13,19}|\d{4}([ -])\d{4}(?:\1\d{4}){1,2}(?:\1\d{1,4})?"
    r"|\d{4}([ -])\d{6}\2\d{4,5}|\d{6}[ -]\d{10,13})" + _RIGHT,
    re.IGNORECASE,
)
_CARD_CUE = re.compile(
    r"(?:卡号?|账号|账户|打款到?|转账到?|收款|退款|汇款到?"
    r"|(?<![a-z])(?:card|visa|mastercard|amex|jcb|unionpay|account|debit|credit"
    r"|pay with|refund to))"
    r"(?:[\s.:#-]|号码?|no|number|是|为|到|给)*$",
    re.IGNORECASE,
)


def bank_cards(text: str) -> Iterator[tuple[int, int]]:
    """Bank cards: 13 to 19 digits with a right check digit, of a known issuer or after a cue."""
    for match in _CARD.finditer(text):
        number = re.sub(r"[ -]", "", match.group())
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        if _CARD_CUE.search(before):
            if number[0] != "0" and _passes_luhn(number):
                yield match.span()
        elif (
            is_bank_card(number)
            and not _is_series(match.group())
            and not _PRODUCT_CUE.search(before)
        ):
            yield match.span()


def is_bank_card(number: str) -> bool:
    """Whether digits have an issuer's prefix, a length of that issuer and Luhn's check digit."""
    return _passes_luhn(number) and any(
        prefix.match(number) and len(number) in lengths for prefix, lengths in _SCHEMES
    )


def _passes_luhn(number: str) -> bool:
    total = 0
    for place, character in enumerate(reversed(number)):
        digit = int(character) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def _is_series(written: str) -> bool:
    """Whether groups are sizes in a row, such as `5100 5200 5300 5400` or `15000-200000`."""
    groups = re.findall(r"\d+", written)
    if written[0] in "0+(" or (
        [*map(len, groups)] == [3, 4, 4] and not re.search(r"[/_,、|*~]", written)
    ):
        return False
    sizes = [int(group) for group in groups[:3]]
    if len(groups) == 4 and all(0 < b - a <= 50 for a, b in pairwise(sizes)):
        return True  # 145 155 165 75
    if len(groups) == 2:
        return all(len(group.rstrip("0")) < 3 for group in groups)
    return len(groups) > 2 and all(group.endswith("0") for group in groups)
