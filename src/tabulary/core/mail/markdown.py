"""Markdown that people wrote, as HTML that is safe to show them (spec files-graphql-realtime-flows §5.1)."""

from __future__ import annotations


def html_of(markdown: str | None) -> str:
    """The text as HTML. Markup inside it stays as far as it can do no harm: scripts, styles and handlers go."""
    import nh3  # here, because few processes need them and they are slow to load
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"breaks": True}).enable(["table", "strikethrough"])
    return nh3.clean(parser.render(markdown or ""), link_rel="noopener noreferrer")
