"""Operations that reach outside or deal with tokens: HTTP requests and JSON web tokens (spec §4.7)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from tabulary.core import json
from tabulary.core.durations import milliseconds
from tabulary.services.flows.problems import ErrorData, FlowProblem, Rejected, structured
from tabulary.services.flows.run import Run

MAX_ANSWER: Final = 10 * 1024 * 1024
"""Bytes of an answer that a flow may read."""
_BY_SECRET: Final = ["HS256", "HS384", "HS512"]
_BY_KEY: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_CLAIMS: Final = (("audience", "aud"), ("issuer", "iss"), ("subject", "sub"), ("jwtid", "jti"))


async def request(run: Run, options: Mapping[str, Any]) -> Any:
    """Call an address; its status, headers and data. An error status rejects with the same.

    Raises :class:`Rejected` with an empty object for an address that does not answer or may not be called.
    """
    import httpx2  # here, because few processes need it and it is slow to load

    from tabulary.services.outgoing import guarded_client

    url, body = options.get("url"), options.get("body")
    if not isinstance(url, str):
        raise FlowProblem('The option "url" has to be text')
    headers = {str(h["header"]): str(h.get("value", "")) for h in _headers(options.get("headers"))}
    if body is not None and not isinstance(body, str):
        body = json.encode(body).decode()
    if body is not None and _is_json(body) and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "application/json"
    method = str(options.get("method") or "GET").upper()
    try:
        async with (
            guarded_client(run.platform.settings) as client,
            client.stream(method, url, headers=headers, content=body or None) as answer,
        ):
            content = bytearray()
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER:
                    raise FlowProblem(f"The answer of {url} has more than {MAX_ANSWER} bytes")
    except (httpx2.HTTPError, httpx2.InvalidURL) as problem:
        raise Rejected(ErrorData({}, str(problem)), str(problem)) from problem
    found = {
        "status": answer.status_code,
        "statusText": answer.reason_phrase,
        "headers": dict(answer.headers),
        "data": _data(content.decode(answer.encoding or "utf-8", "replace")),
    }
    if answer.status_code >= 400:
        raise Rejected(found, f"{url} answered {answer.status_code}")
    return found


def _headers(given: Any) -> list[Mapping[str, Any]]:
    entries = given if isinstance(given, list) else []
    return [entry for entry in entries if isinstance(entry, Mapping) and entry.get("header")]


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.decode(text), dict | list)
    except ValueError:
        return False


def _data(text: str) -> Any:
    try:
        return json.decode(text)
    except ValueError:
        return text


async def web_token(run: Run, options: Mapping[str, Any]) -> Any:
    """Sign, verify or decode a JSON web token."""
    import jwt  # here, because it brings all of cryptography along

    more = structured(options.get("options"), "options")
    settings: Mapping[str, Any] = more if isinstance(more, Mapping) else {}
    token, secret = str(options.get("token") or ""), str(options.get("secret") or "")
    try:
        match options.get("operation"):
            case "sign":
                return _sign(structured(options.get("payload"), "payload"), secret, settings)
            case "verify":
                return _verify(token, secret, settings)
            case "decode":
                return _decode(token, settings)
    except jwt.PyJWTError as problem:
        found = _told(problem, settings)
        raise Rejected(found, found["message"]) from problem
    raise FlowProblem(f'There is no operation "{options.get("operation")}" for web tokens')


def _told(problem: Exception, options: Mapping[str, Any]) -> dict[str, Any]:
    """What is wrong with a token, in the words that stored flows compare with."""
    import jwt

    match problem:
        case jwt.ExpiredSignatureError():
            return {"name": "TokenExpiredError", "message": "jwt expired"}
        case jwt.ImmatureSignatureError():
            return {"name": "NotBeforeError", "message": "jwt not active"}
        case jwt.InvalidSignatureError():
            text = "invalid signature"
        case jwt.InvalidAlgorithmError():
            text = "invalid algorithm"
        case jwt.InvalidAudienceError() | jwt.MissingRequiredClaimError(claim="aud"):
            text = f"jwt audience invalid. expected: {options.get('audience')}"
        case jwt.InvalidIssuerError() | jwt.MissingRequiredClaimError(claim="iss"):
            text = f"jwt issuer invalid. expected: {options.get('issuer')}"
        case jwt.DecodeError():
            text = "jwt malformed"
        case _:
            text = str(problem)
    return {"name": "JsonWebTokenError", "message": text}


def _sign(payload: Any, secret: str, options: Mapping[str, Any]) -> str:
    import jwt

    if not secret:
        raise FlowProblem("A token cannot be signed without a secret")
    if not isinstance(payload, Mapping):
        raise FlowProblem("The payload of a token has to be an object")
    now = int(time.time())
    claims = dict(payload)
    if not options.get("noTimestamp"):
        claims.setdefault("iat", now)
    for option, claim in (("expiresIn", "exp"), ("notBefore", "nbf")):
        if options.get(option) is not None:
            claims[claim] = now + _seconds(options[option], option)
    claims |= {claim: options[option] for option, claim in _CLAIMS if options.get(option) is not None}
    headers = {**(options.get("header") or {}), **({"kid": options["keyid"]} if options.get("keyid") else {})}
    return jwt.encode(claims, secret, str(options.get("algorithm") or "HS256"), headers or None)


def _verify(token: str, secret: str, options: Mapping[str, Any]) -> Any:
    import jwt

    usual = _BY_KEY if secret.lstrip().startswith("-----BEGIN") else _BY_SECRET
    algorithms = options.get("algorithms")
    found = jwt.decode_complete(
        token,
        secret,
        [str(name) for name in algorithms] if isinstance(algorithms, list) else usual,
        audience=options.get("audience"),
        issuer=options.get("issuer"),
        options={
            "verify_aud": options.get("audience") is not None,
            "verify_exp": not options.get("ignoreExpiration"),
            "verify_nbf": not options.get("ignoreNotBefore"),
            "verify_iat": False,
            "verify_sub": False,
            "verify_jti": False,
        },
    )
    return _complete(found, token) if options.get("complete") else found["payload"]


def _decode(token: str, options: Mapping[str, Any]) -> Any:
    import jwt

    try:
        found = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return None
    return _complete(found, token) if options.get("complete") else found["payload"]


def _complete(found: Mapping[str, Any], token: str) -> dict[str, Any]:
    return {"header": found["header"], "payload": found["payload"], "signature": token.rpartition(".")[2]}


def _seconds(value: Any, name: str) -> int:
    """A number of seconds, or text with a unit (``1h``); text without one is milliseconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    found = milliseconds(str(value))
    if found is None:
        raise FlowProblem(f'The option "{name}" has to be seconds or a time span such as "1h"')
    return int(found // 1000)
