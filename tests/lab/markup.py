"""A page as a browser would build it, for tests that ask what it holds and what it fetches."""

from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "input", "hr"}
FETCHES = {"src", "srcset", "data", "action", "poster", "background"}


class Page(HTMLParser):
    """What a browser would build, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.drawings: list[dict[str, str | None]] = []
        self.fetched: list[str] = []
        self.words: dict[str, str] = {}  # titles and descriptions of drawings
        self.inside = ""
        self.text = ""
        self.data = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if name := given.get("id"):
            self.ids.append(name)
        if tag == "svg":
            self.drawings.append(given)
        self.inside = given.get("type") or given.get("id") or ""
        for key, value in attrs:
            link = key.split(":")[-1] == "href" and not (value or "").startswith("#")
            if link or key in FETCHES:
                self.fetched.append(f"{tag} {key}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.data += data if self.inside == "application/json" else ""
        elif self.open[-1:] in (["title"], ["desc"]):
            self.words[self.inside] = data
        else:
            self.text += data
