"""Mail: templates, transports, and the :class:`Mailer` that every service sends with (docs/mail.md)."""
