"""Short messages to people who gave a phone number and no e-mail address: `open_sms` picks the way by URL."""

from identity.mail.sms.base import SmsTransport, SmsUrlInvalid
from identity.mail.sms.urls import open_sms

__all__ = ["SmsTransport", "SmsUrlInvalid", "open_sms"]
