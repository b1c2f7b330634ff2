"""Debian's mail servers that these tests need: what to install, and what shows that it is there."""

PACKAGES = {
    "rspamd": "/usr/bin/rspamd",
    "redis-server": "/usr/bin/redis-server",
    "postfix": "/usr/sbin/postfix",
    "dovecot-core": "/usr/sbin/dovecot",
    "dovecot-auth-lua": "/usr/lib/dovecot/modules/lib22_push_notification_lua_plugin.so",
    "dovecot-lmtpd": "/usr/lib/dovecot/lmtp",
    "dovecot-imapd": "/usr/lib/dovecot/imap",
    "dovecot-sieve": "/usr/lib/dovecot/modules/lib95_imap_sieve_plugin.so",
    "python3": "/usr/bin/python3",  # sceau-learn
    "python3-venv": "/usr/lib/python3.13/ensurepip/__init__.py",  # the filter of clients/python
    "curl": "/usr/bin/curl",  # the READMEs' commands
    "openssl": "/usr/bin/openssl",
}
ANSWERS = "postfix postfix/main_mailer_type select No configuration\n"
PROGRAMS = ("/usr/bin/rspamd", "/usr/bin/redis", "/usr/sbin/dovecot", "/usr/lib/dovecot/", "/usr/lib/postfix/")
"""Where the programs of their processes are."""
