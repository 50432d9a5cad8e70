"""How people name themselves on the wire: an e-mail address or a phone number, made canonical."""

from __future__ import annotations

import phonenumbers

from identity.domain.accounts import canonical_email
from identity.domain.errors import InvalidRequest
from identity.domain.password_proof import Identifier


def read_identifier(raw: str, phone_country: str = "", *, field: str = "identifier") -> Identifier:
    """The identifier that a person typed. Raises InvalidRequest for what is neither address nor number."""
    if "@" in raw:
        return Identifier(email=canonical_email(raw, field=field))
    return Identifier(phone=canonical_phone(raw, phone_country, field=field))


def canonical_phone(raw: str, country: str = "", *, field: str = "phone") -> str:
    """A phone number in E.164; `country` (ISO 3166, such as FR) is for numbers without a country code."""
    try:
        number = phonenumbers.parse(raw, country or None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise InvalidRequest("This is neither an e-mail address nor a phone number with its country.", field=field)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
