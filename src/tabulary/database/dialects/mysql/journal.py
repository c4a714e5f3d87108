"""The journal of schema changes on MariaDB and MySQL."""

from __future__ import annotations

from typing import ClassVar

from tabulary.database.journal import JOURNAL, Journal


class MySQLJournal(Journal):
    exists: ClassVar[str] = (
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
    )
    create: ClassVar[str] = (
        f"CREATE TABLE {JOURNAL} (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, entry longtext NOT NULL)"
    )
    insert: ClassVar[str] = f"INSERT INTO {JOURNAL} (entry) VALUES (%s)"  # noqa: S608 (a constant)
