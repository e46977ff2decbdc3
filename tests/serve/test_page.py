"""The page in a real browser (Debian's `chromium`; without one these tests skip and say so)."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect, sync_playwright

from tagmill.store import Store
from tests.discover.shop import fill_shop
from tests.discover.test_numbers import PRICES, price
from tests.serve.conftest import Service, mounted, serving
from tests.store.samples import entry, make_tag, product, product_batch, tag_run


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        message = "no Chromium found on PATH: install one (apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        # As root, which a container's only user is, Chromium has no sandbox.
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of its own, which may say nothing on its console."""
    opened = browser.new_page(locale="en-GB")
    opened.set_default_timeout(15_000)
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    opened.close()
    assert [line for line in said if "Failed to load" not in line] == []


# What has text of its own with a contrast to the ground behind it below 4.5 (WCAG 2, AA).
_FAINT = """() => {
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const parts = colour => colour.match(/[0-9.]+/g).map(Number);
  const ground = one => {
    const colour = parts(getComputedStyle(one).backgroundColor);
    return colour[3] === 0 ? ground(one.parentElement) : colour;
  };
  return [...document.querySelectorAll("body *")]
    .filter(one => one.checkVisibility())
    .filter(one => [...one.childNodes].some(child => child.nodeType === 3) || one.value)
    .filter(one => {
      const [low, high] = [parts(getComputedStyle(one).color), ground(one)].map(light)
        .sort((a, b) => a - b);
      return (high + .05) / (low + .05) < 4.5;
    }).map(one => one.outerHTML);
}"""


def _hold(page: Page, part: str) -> list[Route]:
    """Requests whose address has a part, which wait from now on."""
    held: list[Route] = []
    page.route(lambda url: part in url, lambda route: held.append(route))
    return held


def _held(page: Page, held: list[Route]) -> Route:
    """The request that waits, once it was sent."""
    while not held:
        page.wait_for_timeout(10)
    return held.pop()


def _fail(route: Route, detail: str) -> None:
    """Answer that something is wrong."""
    route.fulfill(status=503, json={"detail": detail})


def _query_of(request: Request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.url).query)


def _titles(page: Page) -> list[str]:
    return page.locator("#hits .title").all_inner_texts()


@pytest.fixture
def shop(service: Service) -> Service:
    """The service of a shop with prices."""
    price(service.store, **PRICES)
    return service


def test_facets_ranges_and_sorting_narrow_and_order(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=en")
    expect(page.locator("#total")).to_have_text("8 products")
    page.get_by_label("Red").check()
    expect(page.locator("#total")).to_have_text("3 products")
    page.get_by_label("Blue").check()
    expect(page.locator("#total")).to_have_text("5 products")
    page.get_by_label("Dresses").check()
    expect(page.locator("#total")).to_have_text("3 products")
    page.locator("#sort").select_option("价格")
    expect(page.locator("#hits .title").first).to_have_text("法式收腰长裙")
    page.get_by_label("价格 from").fill("100")
    page.get_by_label("价格 from").press("Enter")
    expect(page.locator("#total")).to_have_text("2 products")
    assert _titles(page) == ["蓝色连衣裙 夏季", "红色真丝连衣裙"]
    page.locator("#language").click()  # the same search, in Chinese
    expect(page.locator("#total")).to_have_text("2 件商品")
    expect(page.get_by_role("checkbox", name="连衣裙")).to_be_checked()
    shared = page.url
    page.goto("about:blank")
    page.goto(shared)
    expect(page.locator("#total")).to_have_text("2 件商品")
    for _ in range(3):  # the empty page, the search in Chinese, in English
        page.go_back()
    expect(page.locator("#total")).to_have_text("2 products")


def test_typing_completes_and_a_misspelled_word_is_mended(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=en")
    page.locator("#query").press_sequentially("lea")
    expect(page.locator("#completions li").first).to_contain_text("Leather")
    page.locator("#query").press("ArrowDown")
    page.locator("#query").press("Enter")
    expect(page.locator("#query")).to_have_value("Leather")
    expect(page.locator("#total")).to_have_text("1 product")
    expect(page.locator("#hits .tag")).to_have_text("Leather 0.98")
    expect(page.locator("#hits mark").first).to_have_text("leather")
    page.locator("#query").fill("leathr")
    page.locator("#query").press("Enter")
    page.get_by_role("button", name="leather", exact=True).click()
    expect(page.locator("#total")).to_have_text("1 product")
    assert "q=leather" in page.url


def test_what_a_customer_does_counts_at_once(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=zh&q=手提包")
    expect(page.locator("#beside h2")).to_have_text("受欢迎的商品")
    page.locator("#user").fill("lin")
    page.locator("#user").press("Enter")
    expect(page.locator("#beside h2")).to_have_text("推荐给 lin")
    page.locator("#hits > li", has_text="Red leather tote").get_by_role(
        "button", name="喜欢", exact=True
    ).click()
    expect(page.locator("#beside li").first).to_contain_text("因为你喜欢")
    (event,) = shop.store.events.of_user("lin")
    assert (event.product, event.kind, event.query) == ("b1", "like", "手提包")
    page.locator("#hits .title", has_text="Red leather tote").click()
    expect(page.locator("#beside h3")).to_have_text("Red leather tote")
    expect(page.locator("#beside .tag").first).to_contain_text("♥")
    expect(page.locator("#beside li .soft").first).to_contain_text("与它相近")


def test_titles_are_text_and_pages_go_on(page: Page, shop: Service) -> None:
    rows = [product(f"x{i:02}", f"<img src=x onerror=alert(1)> 👗 帽子 {i}") for i in range(45)]
    shop.store.products.upsert(product_batch(*rows))
    page.goto(f"{shop.url}/?language=en&q=帽子")
    expect(page.locator("#hits > li")).to_have_count(20)
    expect(page.locator("#hits mark").first).to_have_text("帽子")
    assert "<img src=x onerror=alert(1)> 👗 帽子" in _titles(page)[0]
    page.locator("#more").click()
    expect(page.locator("#hits > li")).to_have_count(40)
    page.locator("#more").click()
    expect(page.locator("#hits > li")).to_have_count(45)
    expect(page.locator("#more")).to_be_hidden()
    assert len(set(_titles(page))) == 45


def test_more_is_asked_for_once_and_of_this_search_only(page: Page, shop: Service) -> None:
    rows = [product(f"x{i:02}", f"帽子 {i}") for i in range(45)]
    shop.store.products.upsert(product_batch(*rows))
    page.goto(f"{shop.url}/?language=en&q=帽子")
    expect(page.locator("#hits > li")).to_have_count(20)
    page.locator("#more").dblclick()
    expect(page.locator("#hits > li")).to_have_count(40)
    held = _hold(page, "after=")
    page.locator("#more").click()
    page.locator("#query").fill("手提包")
    page.locator("#query").press("Enter")
    expect(page.locator("#total")).to_have_text("2 products")
    with page.expect_response(lambda answer: "after=" in answer.url):
        _held(page, held).continue_()
    page.wait_for_timeout(100)  # for what should not be
    expect(page.locator("#hits > li")).to_have_count(2)
    expect(page.locator("#more")).to_be_hidden()


def test_the_focus_goes_on_in_what_more_brought(page: Page, shop: Service) -> None:
    rows = [product(f"x{i:02}", f"帽子 {i}") for i in range(25)]
    shop.store.products.upsert(product_batch(*rows))
    page.goto(f"{shop.url}/?language=en&q=帽子")
    expect(page.locator("#more")).to_be_visible()
    page.locator("#more").press("Enter")
    expect(page.locator("#hits .title").nth(20)).to_be_focused()


def test_going_back_leaves_the_page_and_undoes_what_was_asked(page: Page, shop: Service) -> None:
    page.goto("about:blank")
    page.goto(f"{shop.url}/")
    expect(page.locator("#total")).to_have_text("8 products")
    page.get_by_label("Red").check()
    expect(page.locator("#total")).to_have_text("3 products")
    page.go_back()
    expect(page.locator("#total")).to_have_text("8 products")
    expect(page.get_by_label("Red")).not_to_be_checked()
    page.go_forward()
    expect(page.locator("#total")).to_have_text("3 products")
    page.go_back()
    page.go_back()
    assert page.url == "about:blank"


def test_a_problem_of_the_search_is_shown_until_it_is_mended(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=en&sort=beauty&range=weight%3D1..2")
    expect(page.locator("#beside .title").first).to_be_visible()
    expect(page.locator("#search-problem")).to_be_visible()
    page.get_by_role("button", name="weight 1–2 ×").click()
    expect(page.locator("#search-problem")).to_contain_text("beauty")
    page.locator("#sort").select_option("newest")
    expect(page.locator("#hits .title").first).to_be_visible()
    expect(page.locator("#search-problem")).to_be_hidden()


def test_hits_do_not_wait_for_recommendations_nor_these_for_hits(page: Page, shop: Service) -> None:
    held = _hold(page, "v1/recommend")
    page.goto(f"{shop.url}/?language=en&q=red&user=lin")
    expect(page.locator("#hits .title").first).to_be_visible()
    _fail(_held(page, held), "no recommendations today")
    expect(page.locator("#beside-problem")).to_be_visible()
    expect(page.locator("#beside-problem")).to_have_text("no recommendations today")
    expect(page.locator("#search-problem")).to_be_hidden()
    page.unroute_all()
    page.route("**/v1/search**", lambda route: _fail(route, "no search today"))
    page.reload()
    expect(page.locator("#beside .title").first).to_be_visible()
    expect(page.locator("#search-problem")).to_have_text("no search today")
    expect(page.locator("#search-problem")).to_be_visible()
    expect(page.locator("#beside-problem")).to_be_hidden()


def test_a_problem_of_an_act_is_shown_at_the_act(page: Page, shop: Service) -> None:
    page.route("**/v1/events", lambda route: _fail(route, "not stored"))
    page.goto(f"{shop.url}/?language=en&q=red&user=lin")
    act = page.locator("#hits .acts").first
    act.get_by_role("button", name="cart").click()
    expect(act.locator(".problem")).to_be_visible()
    page.unroute_all()
    act.get_by_role("button", name="cart").click()
    expect(act.locator(".problem")).to_be_hidden()
    expect(act.locator(".done")).to_have_text("cart")


def test_what_an_older_search_answers_is_dropped(page: Page, shop: Service) -> None:
    held = _hold(page, "v1/search?q=old")
    page.goto(f"{shop.url}/?language=en&q=old")
    page.locator("#query").fill("leather")
    page.locator("#query").press("Enter")
    expect(page.locator("#total")).to_have_text("1 product")
    with page.expect_response(lambda answer: "q=old" in answer.url):
        _fail(_held(page, held), "too late")
    page.wait_for_timeout(100)  # for what should not be
    expect(page.locator("#search-problem")).to_be_hidden()
    expect(page.locator("#total")).to_have_text("1 product")


def test_only_a_query_that_was_sent_is_logged(page: Page, shop: Service) -> None:
    asked: list[dict[str, list[str]]] = []

    def keep(sent: Request) -> None:
        if "v1/search" in sent.url:
            asked.append(_query_of(sent))

    page.on("request", keep)
    rows = [product(f"x{i:02}", f"red hat {i}") for i in range(45)]
    shop.store.products.upsert(product_batch(*rows))
    page.goto(f"{shop.url}/?language=en&q=red")
    page.locator("#more").click()
    expect(page.locator("#hits > li")).to_have_count(40)
    for sort in ("newest", "价格"):
        page.locator("#sort").select_option(sort)
    page.get_by_label("价格 from").fill("100")
    page.get_by_label("价格 from").press("Enter")
    expect(page.locator("#total")).to_have_text("2 products")
    page.get_by_label("Handbags").check()
    expect(page.locator("#total")).to_have_text("1 product")
    page.locator("#user").fill("lin")
    page.locator("#user").press("Enter")
    page.locator("#language").click()
    expect(page.locator("#total")).to_have_text("1 件商品")
    assert [one["log"] for one in asked] == [["false"]] * 7
    del asked[:]
    for query in ("leathr", ""):
        page.locator("#query").fill(query)
        page.get_by_role("button", name="搜索").click()
        if query:
            page.get_by_role("button", name="leather", exact=True).click()
            expect(page.locator("#total")).to_have_text("1 件商品")
    expect(page.locator("#total")).to_have_text("53 件商品")
    logged = [(one.get("q"), one["log"]) for one in asked]
    assert logged == [(["leathr"], ["true"]), (["leather"], ["true"]), (None, ["false"])]


def test_an_event_has_the_query_only_of_a_hit(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=en&q=leather&user=lin")
    page.locator("#hits .title", has_text="Red leather tote").click()
    page.locator("#beside .acts").get_by_role("button", name="view").click()
    expect(page.locator("#beside .acts .done")).to_have_text("view")
    page.locator("#beside li .title").first.click()
    expect(page.locator("#beside h3")).not_to_have_text("Red leather tote")
    page.locator("#beside .acts").get_by_role("button", name="cart").click()
    expect(page.locator("#beside .acts .done")).to_have_text("cart")
    queries = {event.kind: event.query for event in shop.store.events.of_user("lin")}
    assert queries == {"view": "leather", "cart": None}


def test_a_range_that_finds_nothing_can_be_taken_back(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=en&range=price%3D100..200")  # the shop says 价格
    expect(page.locator("#total")).to_have_text("2 products")
    expect(page.get_by_label("price to")).to_have_value("200")
    page.get_by_label("price from").fill("999999")
    page.get_by_label("price to").fill("")
    page.get_by_label("price to").press("Tab")
    expect(page.locator("#total")).to_have_text("0 products")
    expect(page.locator("#hint")).to_have_text("Nothing found.")
    page.get_by_label("price from").fill("")
    page.get_by_label("price from").press("Enter")
    expect(page.locator("#total")).to_have_text("8 products")
    assert "range" not in page.url


def test_the_other_end_of_a_range_can_be_written_meanwhile(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=en")
    held = _hold(page, "range=")
    page.get_by_label("价格 from").fill("100")
    page.keyboard.press("Tab")
    page.keyboard.type("3")
    _held(page, held).continue_()
    expect(page.locator("#total")).to_have_text("4 products")
    page.keyboard.type("00")
    expect(page.get_by_label("价格 to")).to_have_value("300")
    page.unroute_all()
    page.keyboard.press("Enter")
    expect(page.locator("#total")).to_have_text("2 products")
    expect(page.get_by_label("价格 from")).to_have_value("100")
    expect(page.get_by_label("价格 to")).to_be_focused()
    assert "%3D100..300" in page.url


def test_the_focus_and_marks_stay(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=en&user=lin")
    page.get_by_label("Red").press("Space")
    expect(page.locator("#total")).to_have_text("3 products")
    expect(page.get_by_label("Red")).to_be_focused()
    page.get_by_role("button", name="Red ×").press("Enter")
    expect(page.locator("#total")).to_have_text("8 products")
    expect(page.locator("main")).to_be_focused()
    page.locator("#hits .title", has_text="Red leather tote").click()
    like = page.locator("#beside .acts").get_by_role("button", name=re.compile("^like"))
    with page.expect_response("**/v1/recommend**"):
        like.press("Enter")
    expect(page.locator("#beside .tag").first).to_contain_text("♥")
    expect(like).to_be_focused()
    expect(page.locator("#beside .done")).to_have_text("like")
    expect(page.locator("#hits .done")).to_have_text("like")


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_new_query_begins_without_choices(page: Page, shop: Service, by_hand: bool) -> None:
    page.goto(f"{shop.url}/?language=en&facet=颜色=蓝色")
    expect(page.get_by_label("Blue")).to_be_checked()
    page.locator("#query").press_sequentially("lea")
    option = page.locator("#completions li").first
    if by_hand:
        option.click()
    else:
        expect(option).to_be_visible()
        page.locator("#query").press("ArrowDown")
        expect(option).to_have_attribute("aria-selected", "true")
        active = page.locator("#query").get_attribute("aria-activedescendant")
        assert active == option.get_attribute("id")
        page.locator("#query").press("Enter")
    expect(page.locator("#total")).to_have_text("1 product")
    expect(page.locator("#query")).not_to_have_attribute("aria-activedescendant", "completion-0")
    assert "facet" not in page.url


def test_completions_come_only_while_somebody_writes(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=en")
    query, completions = page.locator("#query"), page.locator("#completions")
    query.press_sequentially("lea")
    expect(completions).to_be_visible()
    query.press("Escape")
    expect(completions).to_be_hidden()
    expect(query).to_have_value("lea")
    held = _hold(page, "v1/complete")
    query.press_sequentially("t")
    page.keyboard.press("Tab")
    with page.expect_response("**/v1/complete**"):
        _held(page, held).continue_()
    page.wait_for_timeout(100)  # for what should not be
    expect(completions).to_be_hidden()


def test_keys_of_an_input_method_are_its_own(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=en")
    page.locator("#query").press_sequentially("lea")
    expect(page.locator("#completions")).to_be_visible()
    taken = page.locator("#query").evaluate(
        """query => ["ArrowDown", "Escape", "Enter"].some(key => !query.dispatchEvent(
            new KeyboardEvent("keydown", { key, isComposing: true, cancelable: true })))"""
    )
    assert not taken
    assert page.locator("#completions [aria-selected=true]").count() == 0
    expect(page.locator("#completions")).to_be_visible()


def test_what_an_input_method_wrote_is_completed(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=zh")
    page.locator("#query").focus()
    keyboard = page.context.new_cdp_session(page)
    writing = {"text": "lian", "selectionStart": 4, "selectionEnd": 4}
    keyboard.send("Input.imeSetComposition", writing)
    expect(page.locator("#query")).to_have_value("lian")
    keyboard.send("Input.insertText", {"text": "连"})
    expect(page.locator("#completions li").first).to_contain_text("连衣裙")


def test_a_long_facet_is_shown_whole_when_asked(page: Page, service: Service) -> None:
    many = [make_tag("颜色", f"颜色{i}", f"Shade {i}") for i in range(9)]
    service.store.library.save(many, [])
    tag_run(service.store, {"d1": [entry(tag, 0.99) for tag in many]}, "many")
    page.goto(f"{service.url}/?language=en")
    shades = page.get_by_role("group", name="Color").get_by_role("checkbox")
    expect(shades).to_have_count(6)
    page.get_by_role("button", name="All").press("Enter")
    expect(page.get_by_role("button", name="Fewer")).to_be_focused()
    expect(shades).to_have_count(11)


def test_numbers_and_facets_may_have_any_name(page: Page, service: Service) -> None:
    tags = [make_tag("constructor", "toString"), make_tag("__proto__", "显瘦")]
    loose = make_tag("", "显瘦", "Slimming")
    service.store.library.save([*tags, loose], [])
    tag_run(service.store, {"d1": [entry(tag, 0.99) for tag in [*tags, loose]]}, "names")
    price(service.store, d1={"total": 5, "__proto__": 1}, d3={"total": 9, "__proto__": 2})
    page.goto(f"{service.url}/?language=en")
    expect(page.locator("#total")).to_have_text("8 products")
    for name in ("total", "__proto__"):
        expect(page.get_by_label(f"{name} from")).to_be_visible()
    page.get_by_label("__proto__ from").fill("2")
    page.get_by_label("__proto__ from").press("Enter")
    expect(page.locator("#total")).to_have_text("1 product")
    page.get_by_label("__proto__ from").fill("")
    page.get_by_label("__proto__ from").press("Enter")
    page.get_by_label("toString").check()
    expect(page.locator("#total")).to_have_text("1 product")
    page.get_by_role("group", name="__proto__").get_by_label("显瘦").check()
    expect(page.get_by_role("button", name="显瘦 ×")).to_be_visible()
    with page.expect_request("**/v1/search**") as asked:
        page.get_by_role("group", name="Other").get_by_label("Slimming").check()
    assert "=Slimming" in _query_of(asked.value)["facet"]


def test_the_page_may_lie_below_a_prefix(page: Page, shop: Service) -> None:
    with mounted(shop) as below:
        page.goto(f"{below.url}/?language=en")
        expect(page.locator("#total")).to_have_text("8 products")
        page.get_by_label("Red").check()
        expect(page.locator("#total")).to_have_text("3 products")
        assert page.url.startswith(f"{below.url}/?")
        page.reload()
        expect(page.locator("#total")).to_have_text("3 products")
        page.goto("about:blank")


def test_a_phone_shows_hits_first_and_choices_when_asked(page: Page, shop: Service) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    shop.store.products.upsert(product_batch(product("x1", "超长标题ABCDEFGH_0123456789" * 9)))
    page.goto(f"{shop.url}/?language=zh&user=lin")
    assert page.locator("html").get_attribute("lang") == "zh"
    expect(page.locator("#language")).to_have_text("English")
    expect(page.locator("#hits .title").first).to_be_in_viewport()
    expect(page.get_by_label("红色")).to_be_hidden()
    page.locator("#choices > summary").click()
    page.get_by_label("红色").check()
    expect(page.locator("#total")).to_have_text("3 件商品")
    expect(page.get_by_label("红色")).to_be_visible()  # for the next choice
    page.locator("#hits .title").first.click()
    expect(page.locator("#beside h3")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(page: Page, shop: Service, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{shop.url}/?language=en&q=red&user=lin&facet=颜色=红色")
    page.locator("#hits .acts button").first.click()
    expect(page.locator("#hits .done")).to_be_visible()
    page.locator("#hits .title").first.click()
    expect(page.locator("#beside .link")).to_be_visible()
    page.evaluate("document.querySelectorAll('.problem').forEach(one => one.append('x'))")
    page.evaluate("document.querySelectorAll('.problem').forEach(one => { one.hidden = false; })")
    assert page.evaluate(_FAINT) == []


def test_the_page_asks_for_the_key(page: Page, store: Store, tmp_path: Path) -> None:
    fill_shop(store)
    with serving(store, tmp_path, key="open sesame") as service:
        page.goto(f"{service.url}/?language=en&q=red")
        expect(page.locator("#unlock")).to_be_visible()
        expect(page.locator("#search-problem")).to_contain_text("Send the service's key")
        page.locator("#key").fill("open sesame")
        page.locator("#key").press("Enter")
        expect(page.locator("#hits > li").first).to_be_visible()
        expect(page.locator("#unlock")).to_be_hidden()
        expect(page.locator("#search-problem")).to_be_hidden()
