"""One mail, from what a caller says to what goes over the wire: HTML with a text alternative, safe headers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, formatdate, make_msgid
from html.parser import HTMLParser
from typing import Any

from tabulary.core.errors import InvalidPayload

Addresses = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom a mail is from."""

    name: str
    address: str


@dataclass(slots=True)
class Mail:
    """What a caller wants sent. ``template`` with its ``data``, or ready ``html`` and ``text``."""

    to: Addresses
    subject: str
    template: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    html: str | None = None
    text: str | None = None
    sender: Sender | str | None = None
    cc: Addresses = ()
    bcc: Addresses = ()
    reply_to: Addresses = ()

    def recipients(self) -> list[str]:
        """Every address that gets the mail, each once."""
        return list(dict.fromkeys([*addresses(self.to), *addresses(self.cc), *addresses(self.bcc)]))


def addresses(value: Addresses | None) -> list[str]:
    """The addresses of a list, or of text in which commas part them.

    Raises :class:`InvalidPayload` for what could smuggle something into a header or onto a command line.
    """
    listed = value.split(",") if isinstance(value, str) else list(value or ())
    found = [str(address).strip() for address in listed if str(address).strip()]
    for address in found:
        if "@" not in address or address.startswith("-") or any(ord(c) < 32 or ord(c) == 127 for c in address):
            raise InvalidPayload(f'"{_one_line(address)}" is not an address that mail can be sent to')
    return found


def compose(mail: Mail, sender: Sender) -> EmailMessage:
    """The message of a mail whose content is there. Raises :class:`InvalidPayload` for addresses it cannot have."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = formataddr((_one_line(sender.name), sender.address))
        message["To"] = ", ".join(addresses(mail.to))
        if mail.cc:
            message["Cc"] = ", ".join(addresses(mail.cc))
        if mail.reply_to:
            message["Reply-To"] = ", ".join(addresses(mail.reply_to))
    except (ValueError, IndexError) as problem:
        raise InvalidPayload(f"The mail has an address that cannot be used: {problem}") from None
    message["Subject"] = _one_line(mail.subject)
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=sender.address.rpartition("@")[2] or None)
    message.set_content(mail.text if mail.text is not None else as_text(mail.html or ""))
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message


def as_text(html: str) -> str:
    """What somebody reads who sees no HTML: paragraphs as lines, links with their address behind them."""
    reader = _TextOfHtml()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


class _TextOfHtml(HTMLParser):
    """Collects the visible text."""

    BLOCKS = frozenset({"p", "div", "br", "tr", "table", "h1", "h2", "h3", "h4", "ul", "ol", "li", "blockquote", "hr"})
    HIDDEN = frozenset({"style", "script", "head", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.HIDDEN:
            self._hidden += 1
        elif tag in self.BLOCKS:
            self.parts.append("\n\n" if tag in ("p", "table") else "\n")
            self.parts.append("- " if tag == "li" else "")
        elif tag == "a":
            self._links.append((dict(attrs).get("href") or "", len(self.parts)))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in self.BLOCKS and tag != "br":
            self.parts.append("\n")
        elif tag == "a" and self._links:
            target, start = self._links.pop()
            if target and target != "".join(self.parts[start:]).strip():
                self.parts.append(f" ( {target} )")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(" ".join(re.split(r"\s+", data)))
