"""A page's content-security policy: only its own script and style sheet count, nothing is loaded.

Values are escaped where the page is written.  The policy stands behind that: a browser runs no
script and applies no style that the page did not have when it was written.
"""

import base64
import hashlib

from markupsafe import Markup


def policy(style: str, script: str | None = None) -> Markup:
    """Return the policy of a page with these contents of its ``<style>`` and its ``<script>``.

    They are the exact text between the tags, line ends included.  ``data:`` is for the empty icon
    in the page's head.  Trusted types make a browser that knows them refuse to parse text as HTML.
    """
    scripts = "'none'" if script is None else _hash(script)
    rules = [
        "default-src 'none'",
        f"script-src {scripts}",
        f"style-src {_hash(style)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    # Its quotes are single ones, and a hash is Base64: nothing ends the attribute.
    return Markup(f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">')


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
