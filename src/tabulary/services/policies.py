"""Policies: named bundles of permissions with admin and app access and IP rules (spec users §4.1, §4.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tabulary.access.integrity import IntegrityFlags
from tabulary.access.networks import IpRange
from tabulary.core.errors import InvalidPayload
from tabulary.items.options import MutationOptions
from tabulary.services.access import AccessRuleService, Payload, requiring


class PoliciesService(AccessRuleService):
    """``directus_policies``. A bad ``ip_access`` is reported only to those who may write the policy."""

    def for_create(self, payloads: Sequence[Payload], options: MutationOptions) -> MutationOptions:
        return _checked(payloads, options)

    def for_update(self, data: Payload, options: MutationOptions) -> MutationOptions:
        return requiring(_checked([data], options), _flags(data))

    def for_delete(self, options: MutationOptions) -> MutationOptions:
        return requiring(options, IntegrityFlags.ALL)


def _flags(data: Payload) -> IntegrityFlags:
    flags = IntegrityFlags.NONE
    if "admin_access" in data:
        flags |= IntegrityFlags.REMAINING_ADMINS
        if data["admin_access"] not in (False, None):  # clients also send "true" and 1
            flags |= IntegrityFlags.USER_LIMITS
    if "app_access" in data:
        flags |= IntegrityFlags.USER_LIMITS
    return flags


def _checked(payloads: Sequence[Payload], options: MutationOptions) -> MutationOptions:
    if options.pre_mutation_error is None and not all(_has_good_rules(payload) for payload in payloads):
        problem = InvalidPayload(
            "IP Access contains an incorrect value. Valid values are: IP addresses, IP ranges and CIDR blocks"
        )
        return replace(options, pre_mutation_error=problem)
    return options


def _has_good_rules(payload: Payload) -> bool:
    rules = payload.get("ip_access") if isinstance(payload, Mapping) else None
    if rules is None or rules == "":
        return True
    return isinstance(rules, list) and all(_is_good(rule) for rule in rules)


def _is_good(rule: Any) -> bool:
    if not isinstance(rule, str):
        return False
    try:
        IpRange.parse(rule)
    except ValueError:
        return False
    return True
