"""The page in a real browser."""

from playwright.async_api import Browser, Page, WebSocketRoute, expect
from redis.asyncio import Redis

from core.engine.scripted import ScriptedEngine
from core.errors import StoreUnavailable
from tests.adapters.web.browsing import connected, opened, say, until_answered
from tests.adapters.web.conftest import Serve
from tests.core.store.servers import RedisServer, free_port

SLOW = 0.05
PHONE = 390


async def test_question_typed_into_the_box_is_answered(serving: Serve, chromium: Browser) -> None:
    async with serving(model="echo") as url:
        page = await opened(chromium, url)
        await expect(page.locator(".model")).to_have_text("echo")
        await say(page, "hello there")
        await until_answered(page, "You said: hello there")
        await expect(page.locator(".said")).to_have_text("hello there")
        await expect(page.get_by_label("Message", exact=True)).to_have_value("")


async def test_conversation_is_there_again_after_reload_and_restart(serving: Serve, chromium: Browser) -> None:
    port = free_port()
    async with serving(port=port) as url:
        page = await opened(chromium, url)
        await say(page, "remember me")
        await until_answered(page, "You said: remember me")
        await page.reload()
        await until_answered(page, "You said: remember me")
    await expect(page.locator("#connection")).to_have_text("Reconnecting")
    async with serving(port=port):
        await connected(page)
        await say(page, "and me")
        await until_answered(page, "You said: and me")
        await expect(page.locator(".said")).to_have_text(["remember me", "and me"])


async def test_message_written_without_connection_is_sent_when_there_is_one(
    serving: Serve, chromium: Browser
) -> None:
    port = free_port()
    async with serving(port=port) as url:
        page = await opened(chromium, url)
    await expect(page.locator("#connection")).to_have_text("Reconnecting")
    await say(page, "in a bottle")
    await expect(page.get_by_role("alert")).to_contain_text("no connection")
    await expect(page.get_by_label("Message", exact=True)).to_have_value("in a bottle")
    async with serving(port=port):
        await until_answered(page, "You said: in a bottle")
        await expect(page.locator(".said")).to_have_count(1)


async def test_connection_that_died_silently_is_noticed(chromium: Browser, url: str) -> None:
    """As after a night's sleep, behind a router that forgot it: nobody closes it."""
    dead: list[bool] = []

    def through(browser: WebSocketRoute) -> None:
        server, number = browser.connect_to_server(), len(dead)
        dead.append(False)
        browser.on_message(lambda said: None if dead[number] else server.send(said))
        server.on_message(lambda said: None if dead[number] else browser.send(said))

    page = await (await chromium.new_context()).new_page()
    await page.clock.install()
    await page.route_web_socket("**/chat*", through)
    await page.goto(url)
    await connected(page)
    dead[0] = True
    for seconds in (46, 46, 11):  # something was heard; nothing was, so it asks; and nobody answers
        await page.clock.fast_forward(1000 * seconds)
    await expect(page.locator("#connection")).to_have_attribute("data-state", "away")
    await connected(page)
    assert len(dead) == 2
    await say(page, "hello")
    await until_answered(page, "You said: hello")
    for _ in range(3):
        await page.clock.fast_forward(46_000)
        await connected(page)
    assert len(dead) == 2, "one that lives is kept"


async def test_page_that_is_older_than_the_server_is_opened_anew(serving: Serve, chromium: Browser) -> None:
    port = free_port()
    async with serving(port=port, title="Before") as url:
        page = await opened(chromium, url)
        await expect(page).to_have_title("Before")
        await page.get_by_label("Message", exact=True).fill("half a thou")
    async with serving(port=port, title="After"):
        await expect(page).to_have_title("After")
        await connected(page)
        await expect(page.get_by_label("Message", exact=True)).to_have_value("half a thou")


async def test_cookie_is_out_of_scripts_reach(page: Page) -> None:
    (cookie,) = await page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"


async def test_another_browser_sees_nothing_of_it(chromium: Browser, url: str) -> None:
    ann = await opened(chromium, url)
    await say(ann, "a secret")
    await until_answered(ann, "You said: a secret")
    bob = await opened(chromium, url)
    await expect(bob.locator("#welcome")).to_be_visible()
    await expect(bob.locator(".exchange")).to_have_count(0)


async def test_shift_enter_makes_a_line_and_enter_sends(page: Page) -> None:
    box = page.get_by_label("Message", exact=True)
    await box.press_sequentially("one")
    await box.press("Shift+Enter")
    await box.press_sequentially("two")
    await box.press("Enter")
    await expect(page.locator(".said")).to_have_text("one\ntwo", use_inner_text=True)


async def test_stop_button_and_escape_end_a_reply(serving: Serve, chromium: Browser) -> None:
    async with serving(engine=ScriptedEngine(delay=SLOW)) as url:
        page = await opened(chromium, url)
        button = page.get_by_role("button", name="Stop the answer")
        await expect(button).to_be_hidden()
        await say(page, "word " * 2000)
        await expect(page.locator(".writing")).to_contain_text("word")
        await button.click()
        await expect(page.locator(".reply:not(.writing) .answer")).to_contain_text("Stopped.")
        await expect(button).to_be_hidden()
        await say(page, "more " * 2000)
        await expect(page.locator(".writing")).to_contain_text("more")
        await page.keyboard.press("Escape")
        await expect(page.locator(".reply:not(.writing) .answer").last).to_contain_text("Stopped.")


async def test_reply_is_announced_when_it_is_whole(serving: Serve, chromium: Browser) -> None:
    async with serving(engine=ScriptedEngine(delay=SLOW)) as url:
        page = await opened(chromium, url)
        await expect(page.get_by_role("log")).to_have_attribute("aria-live", "polite")
        await say(page, "word " * 2000)
        await expect(page.locator(".reply")).to_have_attribute("aria-busy", "true")
        await page.keyboard.press("Escape")
        await expect(page.locator(".reply")).to_have_attribute("aria-busy", "false")


async def test_reset_clears_the_page(page: Page) -> None:
    await say(page, "remember me")
    await until_answered(page, "You said: remember me")
    await say(page, "/reset")
    await expect(page.locator(".said")).to_have_text(["/reset"])
    await expect(page.locator(".answer")).to_contain_text("forgotten")


async def test_typed_retry_and_undo_change_what_stands_on_the_page(page: Page) -> None:
    for text in ("one", "two", "/retry", "/help"):
        await say(page, text)
        await expect(page.locator(".reply:not([aria-busy=false])")).to_have_count(0)
    await expect(page.locator(".said")).to_have_text(["one", "two", "/help"])
    await expect(page.locator(".foot").last).to_contain_text("2/2")
    await say(page, "/undo")
    await expect(page.locator(".said")).to_have_text(["one", "/help", "/undo"])


async def test_too_long_message_stays_in_the_box_with_a_clear_answer(page: Page) -> None:
    long = "x" * 100_000
    await say(page, long)
    await expect(page.get_by_role("alert")).to_contain_text("100,000 characters")
    await expect(page.get_by_label("Message", exact=True)).to_have_value(long)
    await say(page, "short")
    await until_answered(page, "You said: short")
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_message_that_the_store_cannot_take_stays_in_the_box(page: Page, redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url) as redis:
        await redis.config_set("min-replicas-to-write", 1)  # the server refuses to write
        try:
            await say(page, "keep this")
            await expect(page.get_by_role("alert")).to_have_text(StoreUnavailable.reply)
            await expect(page.get_by_label("Message", exact=True)).to_have_value("keep this")
        finally:
            await redis.config_set("min-replicas-to-write", 0)
        await page.get_by_label("Message", exact=True).press("Enter")
        await until_answered(page, "You said: keep this")


async def test_what_is_being_written_survives_a_reload(page: Page) -> None:
    await page.get_by_label("Message", exact=True).fill("half a thou")
    await page.reload()
    await expect(page.get_by_label("Message", exact=True)).to_have_value("half a thou")


async def test_attacks_through_the_models_text_are_inert(serving: Serve, chromium: Browser) -> None:
    attack = (
        "<img src=x onerror='document.title=1'> <script>document.title=2</script>\n\n"
        "[click](javascript:document.title=3) "
        "<a href='javascript:document.title=4' onclick='document.title=5'>a</a>"
        "\n\n```<svg onload=document.title=6>\n<script>document.title=7</script>\n```\n\n[ok](https://example.com)"
    )
    async with serving(title="Untouched") as url:
        page = await opened(chromium, url)
        await say(page, attack)
        answer = page.locator(".reply:not(.writing) .answer")
        await expect(answer).to_contain_text("onerror")
        await expect(answer.locator("img, script, svg, iframe, [onclick], [onerror], [onload]")).to_have_count(0)
        links = await answer.locator("a").evaluate_all("links => links.map(link => [link.href, link.rel])")
        assert links == [["https://example.com/", "noopener noreferrer"]]
        await expect(page).to_have_title("Untouched")


async def test_page_obeys_its_own_content_policy(chromium: Browser, url: str) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if url not in request.url else None)
    await page.goto(url)
    await connected(page)
    code, table = "```python\nprint(1)\n```", "| a | b |\n| - | -: |\n| 1 | 2 |"
    await say(page, f"All of it:\n\n{code}\n\n{table}\n\n![image](https://example.com/x.png)")
    await expect(page.locator(".reply:not(.writing) .answer table")).to_be_visible()
    assert [text for text in complaints if not text.startswith("data:")] == []


async def test_right_to_left_text_is_set_right_to_left(page: Page) -> None:
    await say(page, "x\n\nשלום עולם")
    block = page.locator(".reply:not(.writing) .block p").last
    await expect(block).to_have_text("שלום עולם")
    await expect(block).to_have_css("direction", "rtl")


async def test_nothing_is_cut_off_on_a_phone(serving: Serve, chromium: Browser) -> None:
    async with serving(model="a-model-with-a-name-that-goes-on-and-on-and-on") as url:
        page = await opened(chromium, url, width=PHONE)
        await say(
            page, "w" * 300 + "\n\n```\n" + "c" * 300 + "\n```\n\n| a | b |\n| - | - |\n| " + "t" * 200 + " | 2 |"
        )
        await expect(page.locator(".reply:not(.writing) .answer table")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") == PHONE
        view = page.locator("#view")
        assert await view.evaluate("view => view.scrollWidth <= view.clientWidth")
