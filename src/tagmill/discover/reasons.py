"""Why something is recommended, as the customer reads it: 因为你看过 法式 连衣裙."""

from __future__ import annotations

from tagmill.discover.recommend import Recommendation

__all__ = ["reason_of"]

_REASONS: dict[str, tuple[str, str]] = {
    # kind of the event: (English, Chinese)
    "view": ("because you viewed: {}", "因为你看过 {}"),
    "cart": ("because of your cart: {}", "因为你加购过 {}"),
    "purchase": ("because you bought: {}", "因为你买过 {}"),
    "like": ("because you like: {}", "因为你喜欢 {}"),
    "dislike": ("unlike what you disliked: {}", "不同于你不喜欢的 {}"),
    "": ("goes with it: {}", "与它相近：{}"),
}
_POPULAR = ("many like it: {}", "受欢迎：{}")


def reason_of(one: Recommendation, language: str) -> str:
    """The reason of a recommendation in a language, `zh` or English.

    It names the tags that both products have, or where there are none the product it is because of.
    """
    tags = " ".join(tag.partition(":")[2] or tag for tag in one.why.tags)
    form = _REASONS[one.why.kind] if one.why.because else _POPULAR
    return form[language == "zh"].format(tags or one.why.title).rstrip(" :：")
