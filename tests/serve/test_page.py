"""The page in a real browser (Debian's `chromium`; without one these tests skip and say so)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tagmill.store import Store
from tests.discover.shop import fill_shop
from tests.discover.test_numbers import PRICES, price
from tests.serve.conftest import Service, serving
from tests.store.samples import product, product_batch


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


def test_a_problem_is_shown_and_goes(page: Page, shop: Service) -> None:
    page.goto(f"{shop.url}/?language=en&sort=beauty")
    expect(page.locator("#search-problem")).to_contain_text("beauty")


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
