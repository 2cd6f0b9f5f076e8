"""A finished page may load nothing but files of its book: inline scripts become files, a content
policy says so.
"""

import hashlib
import re
from pathlib import Path

from helpers.errors import StudyError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'"
)
INLINE = re.compile(
    r"<script(?P<attributes>(?:\s(?!src\b)[\w-]+(?:=\"[^\"]*\")?)*)\s*>(?P<code>.*?)</script>",
    re.DOTALL,
)
#: the theme's own scripts, whole; any other came from a study's words and is refused
THEME = re.compile(
    r"DOCUMENTATION_OPTIONS\.\w+ = (?:'[\w.-]*'|true|false);"
    r'|document\.documentElement\.dataset\.mode = localStorage\.getItem\("mode"\) \|\| "light";'
    r'\s*document\.documentElement\.dataset\.theme = localStorage\.getItem\("theme"\) \|\| "light";'
    r"|// Activate the search field on page load\s*"
    r'let searchInput = document\.querySelector\("form\.bd-search input"\);\s*'
    r"if \(searchInput\) \{\s*searchInput\.focus\(\);\s*searchInput\.select\(\);\s*"
    r'console\.log\("\[PST\]: Set focus on search field\."\);\s*\}'
)
ARROW = "Pages of this chapter"
LOADED = re.compile(
    r"""<(?:script|img|link|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|href|data)\s*=\s*["']?"""
    r"""((?:https?:)?//[^"'\s>]*)""",
    re.IGNORECASE,
)


def harden(book: Path) -> None:
    """Rewrite every HTML file below the folder ``book``; StudyError for one that would load from
    elsewhere.

    Only the theme's own scripts become files; any other is an error, although cells and manifests
    were cleaned before (tools.book.markup).
    """
    static = book / "_static"
    for path in sorted(book.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        up = "../" * len(path.relative_to(book).parent.parts)

        def to_file(match: re.Match, up: str = up, page: str = path.name) -> str:
            code = match["code"].strip()
            if not THEME.fullmatch(code):
                raise StudyError(f"{page}: holds a script of its own: {code[:80]}")
            name = f"inline-{hashlib.sha256(code.encode()).hexdigest()[:12]}.js"
            (static / name).write_text(code + "\n", encoding="utf-8")
            return f'<script src="{up}_static/{name}"></script>'

        text = INLINE.sub(to_file, text)
        # the theme's arrow beside a chapter has no words for a screen reader
        text = text.replace(
            '<summary><span class="toctree-toggle"',
            f'<summary aria-label="{ARROW}"><span class="toctree-toggle"',
        )
        if found := LOADED.findall(text):
            raise StudyError(f"{path.name}: would load from outside the book: {', '.join(found)}")
        meta = (
            f'<head>\n    <meta http-equiv="Content-Security-Policy" content="{POLICY}"><link'
            ' rel="icon" href="data:,">'
        )
        path.write_text(re.sub(r"<head>", meta, text, count=1), encoding="utf-8")
