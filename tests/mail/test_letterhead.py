from __future__ import annotations

import pytest

from identity.mail.letterhead import Letterhead


@pytest.mark.parametrize(
    "sender", ["", "no-reply", "Acme <no-reply@id.example>", "a@id.example,b@id.example", "a@b\r\n"]
)
def test_a_sender_is_one_bare_address(sender: str) -> None:
    with pytest.raises(ValueError, match=r"no-reply@your\.domain"):
        Letterhead(sender, "https://id.example", "Acme")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "id.example",
        "ftp://id.example",
        "javascript:alert(1)",
        "https://",
        "https://id.example?x=y",
        "https://id.example#x",
        "https://user@id.example",
        "https://id.example:port",
        "https://id.example\n",
        "https://[id.example",
    ],
)
def test_RC_04_a_public_url_is_a_base_for_links(url: str) -> None:
    with pytest.raises(ValueError, match=r"https://your\.domain"):
        Letterhead("no-reply@id.example", url, "Acme")


@pytest.mark.parametrize("name", ["", "  ", "Acme\r\nBcc: victim@example.org", "Acme\x1b"])
def test_a_product_name_is_one_line(name: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        Letterhead("no-reply@id.example", "https://id.example", name)
