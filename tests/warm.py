"""What every service does once at its start, done before the fork: only the server of forks imports this."""

from identity.crypto import common_passwords
from identity.rpc.requests import compile_rules
from identity.server import SERVICES

compile_rules(SERVICES)
common_passwords.is_common("")
