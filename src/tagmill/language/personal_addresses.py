"""Postal addresses in a text, Chinese and English.

Both functions take a text folded by `redaction.legible` and give `(start, end)` pairs. Only what
leads to a door counts: a street or an estate with a number. 产地：浙江义乌, 南京路同款 and
`5th Avenue perfume` name places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["chinese_addresses", "english_addresses"]

_HAN = "\u4e00-\u9fff"
_PROVINCE = re.compile(
    "(?:中国)?(?:(?:河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|(?<!中)山东|河南|湖北|湖南|广东|海南|四川|贵州"
    "|云南|陕西|甘肃|青海|台湾)省?|(?:内蒙古|广西|西藏|宁夏|新疆)(?:(?:壮族|回族|维吾尔)?自治区)?"
    "|(?:北京|天津|上海|重庆)市?|(?:香港|澳门)(?:特别行政区)?)"
)
_CHINESE_NUMBER = "[一二三四五六七八九十百]{1,4}"
_DOOR = re.compile(
    rf"(?:附|第)?(?:(?<![0-9A-Za-z.])[0-9A-Za-z]{{1,6}}(?: ?[-—] ?[0-9A-Za-z]{{1,5}}){{0,3}}"
    rf"|{_CHINESE_NUMBER})"
    r" {0,2}(?:号楼|号院|号|弄|栋|幢|座|单元|楼|层|室|户|房|组|队|街|门|铺|档)"
)
_NOT_AFTER_DOOR = re.compile("色|球|果|线(?!下)|针|码| ?电池|钢|砂|粉| ?口红|链|刀|字|膏|油")
_ESTATE = (
    "村|社区|小区|花园|花苑|苑|园区?|城|大厦|广场|公寓|中心|工业区|开发区|产业园|市场|大学|学院|医院"
    "|新村|庄|屯|大楼|家园|里"
)
_TAIL = re.compile(
    rf"(?:\s?(?:[{_HAN}A-Za-z]{{1,12}}?(?:{_ESTATE}))?\s?{_DOOR.pattern}){{1,6}}"
    r"| ?\d{1,2}F(?![A-Za-z0-9])"
    r"|(?<=[座栋幢楼元])(?:\d{2,5}(?!\d)| \d{3,4}(?=$|[^\w.×*%-]|室))"
    rf"|\s?[{_HAN}A-Za-z]{{2,12}}?(?:{_ESTATE})(?=$|[^{_HAN}A-Za-z0-9])"
)
_HEAD = re.compile(rf"[{_HAN}A-Za-z0-9]+(?:[ ][{_HAN}A-Za-z0-9]+)*\s{{0,2}}$")
_HEAD_LENGTH = 48
_LEVEL = re.compile("(?<=[^ ])(?:市|区|县|旗|镇|乡|村|街道|自治州|州|盟|地区|新区|开发区)")
_ROAD = re.compile(
    rf"(?P<name>[{_HAN}]{{1,8}})(?:路|街|大道|巷|弄|胡同)(?:[东南西北中]?[一二三四五六七八九]?段?)\s*$"
)
_WAY = re.compile(rf"[{_HAN}]{{2}}道\s*$")  # 弥敦道: only with a city before it
_NO_ROAD = re.compile("[线电公铁水气油思网短回管][路]$|步行街$")
_IN_ESTATE = re.compile(rf"(?:{_ESTATE})(?:[东南西北A-Z一二三四五六七八九十]{{1,2}}区)?\s*$")
_LEAD_IN = re.compile("地址|寄回|寄到|送到|发到|位于|[址在到往至寄送发于是住仓店从] ?")
_ADDRESS_CUE = re.compile("(?:地址|住址|寄到|寄往|送到|发到|位于|邮寄|寄)[:\\s]*$")


def chinese_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Addresses of at least two levels that lead to a number: 文三路90号, 翠苑四区3幢502室."""
    done = 0
    for door in _DOOR.finditer(text):
        if door.start() < done:
            continue
        head = _HEAD.search(text, max(done, door.start() - _HEAD_LENGTH), door.start())
        if head is None:
            continue
        start = _beginning(text, head.start(), door.start())
        end = door.end()
        for _ in range(3):  # building, room, name of the building
            tail = _TAIL.match(text, end)
            end = tail.end() if tail else end
        if _leads_to_a_door(text, start, door, end):
            done = end
            yield start, end


def _beginning(text: str, start: int, end: int) -> int:
    """Where the address begins: at a province, or after the last word that leads to a place."""
    province = _PROVINCE.search(text, start, end)
    if province:
        return province.start()
    level = _LEVEL.search(text, start, end)
    leads = list(_LEAD_IN.finditer(text, start, level.start() if level else end))
    begin = leads[-1].end() if leads else start
    space = text.rfind(" ", begin, level.start() if level else len(text[:end].rstrip()))
    return begin if space < 0 else space + 1


def _leads_to_a_door(text: str, start: int, door: re.Match[str], end: int) -> bool:
    if start >= door.start() or _NOT_AFTER_DOOR.match(text, end):
        return False
    head = text[start : door.start()]
    province = _PROVINCE.match(head)
    levels = len(_LEVEL.findall(head)) + (province is not None)
    number = text[door.start() : end]
    house = re.search("号|弄|室|栋|幢|单元|座", number) is not None
    if _NO_ROAD.search(head.rstrip()):
        return False
    if _ROAD.search(head) or (levels and _WAY.search(head)):
        return house and (levels > 0 or len(head.rstrip()) > 2)
    estate = _IN_ESTATE.search(head)
    if estate and (province or _LEVEL.search(head[: estate.start()])):
        return True
    if levels < 2:
        return levels > 0 and house and _ADDRESS_CUE.search(text[:start]) is not None
    return re.search("室|栋|幢|单元|号楼|[A-Za-z]座", number) is not None or (
        len(_DOOR.findall(number)) > 1
    )


_STATE = (
    "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]"
    "|T[NX]|UT|V[AT]|W[AIVY]|NSW|VIC|QLD|TAS|ACT|ON|QC|BC|AB|MB"
)
_POSTCODE = (
    rf"(?:(?:{_STATE})\.? \d{{4,5}}(?:-\d{{4}})?|[A-Z]{{1,2}}\d[A-Z\d]? \d[A-Z]{{2}}"
    rf"|(?:{_STATE})? ?[A-Z]\d[A-Z] \d[A-Z]\d|\d{{5}}(?:-\d{{4}})?)(?![A-Za-z0-9])"
)
_STREET = "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Boulevard|Blvd|Parkway|Pkwy|Highway|Hwy|Crescent"
_OTHER_STREET = "Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|Square|Sq|Close|Circle|Row|Walk"
_ROOM = r"(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room|Rm|Bldg|Building)\.? ?#?[0-9A-Z-]{1,6}"
_CITY = r"[A-Z][a-z.'’]+(?:[ -][A-Z][a-z.'’]+){0,2}"
_ENGLISH_FORM = (
    rf"(?<![A-Za-z0-9.,-])(?:{_ROOM},? )?(?:No\.? ?)?\d{{1,5}}[A-Za-z]?(?:[-/]\d{{1,5}})? "
    r"(?:(?:North|South|East|West|[NSEW]\.?|N[EW]|S[EW]) )?"
    r"(?:(?:(?:[A-Z][a-z'’.]+|\d{1,3}(?:st|nd|rd|th)) ){1,3}?"
    rf"(?:(?P<street>{_STREET})|(?:{_OTHER_STREET}))|Broadway)(?![A-Za-z])\.?"
    rf"(?P<room>,? (?:{_ROOM}|#[0-9A-Z-]{{1,6}}|\d{{1,2}}(?:st|nd|rd|th) Floor))?"
    rf"(?P<city>, {_CITY}(?:, {_CITY}){{0,2}})?(?P<code>,? {_POSTCODE}|, (?:{_STATE})(?![A-Za-z]))?"
    r"(?:(?<=[0-9A-Z]), (?:USA|US|UK|United States|United Kingdom|Canada|Australia))?"
)
_ENGLISH = re.compile(_ENGLISH_FORM)
_ENGLISH_IN_ANY_CASE = re.compile(_ENGLISH_FORM, re.IGNORECASE)
_BOX = re.compile(rf"(?<![A-Za-z])P\.? ?O\.? Box \d{{1,6}}(?:, {_CITY})?(?:,? {_POSTCODE})?")
_PLACE_CUE = re.compile(
    r"(?<![A-Za-z])(?:address|located|visit|office|warehouse|showroom|shop|store|ship(?:ped)? to"
    r"|deliver(?:ed)? to|send to|samples to|mail to|return to|pick ?up at|(?:us|located|is|are) at"
    r"|showroom at|office at)[:\s]*$",
    re.IGNORECASE,
)
_ANY_CASE_CUE = re.compile(
    r"(?<![A-Za-z])(?:address|(?:ship|deliver|mail|return|send) to)\s?:?\s?(?=\d)", re.IGNORECASE
)
_NO_CITY = re.compile(r", (?:Blu|Dvd|Season|Vol|Edition|Poster|Size|Set|Pack|Book|Film|The)")


def english_addresses(text: str) -> Iterator[tuple[int, int]]:
    """A number and a street with a city or postcode, or after a word such as `address`."""
    for match in _ENGLISH.finditer(text):
        cue = _PLACE_CUE.search(text[max(0, match.start() - 24) : match.start()])
        city = match["city"] and not _NO_CITY.match(match["city"])
        if (
            match["code"]
            or (match["street"] and (city or cue))
            or (city and (cue or match["room"]))
        ):
            yield match.span()
    for cue in _ANY_CASE_CUE.finditer(text):
        written = _ENGLISH_IN_ANY_CASE.match(text, cue.end())
        if written:
            yield written.span()
    for match in _BOX.finditer(text):
        yield match.span()
