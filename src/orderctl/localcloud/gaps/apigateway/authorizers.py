"""Which tokens a Cognito user pool authorizer accepts, and which claims the function gets.

MiniStack 1.5.33 verifies signature, issuer and times, but takes a token that never expires, takes
refresh, access and ID tokens alike, names no algorithm, and keeps a pool's keys for two hours after
it asked itself for them over HTTP. It hands a list in a token on as `[a b]`.

AWS takes a token for an ID token, and one for an access token only if the method has OAuth scopes
("Integrate a REST API with an Amazon Cognito user pool", API Gateway developer guide). Refresh
tokens are encrypted and no JWTs; every ID and access token is signed with RS256 and has an expiry
("Understanding user pool JSON web tokens", Cognito developer guide). A function gets the elements
of a list, such as `cognito:groups`, joined by commas. A token that is not taken answers 401,
`Unauthorized`.

The signature is verified by MiniStack's own function, with the pool's key pair.
"""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ministack.services import apigateway_v1, cognito

from orderctl.localcloud import seams

_ALGORITHM = "RS256"


def install() -> None:
    """Accept tokens and pass on their claims as AWS does."""
    validate: Callable[..., Awaitable[tuple[Any, Any]]] = seams.original(
        apigateway_v1, "_validate_cognito_authorizer"
    )
    stringify: Callable[[Mapping[str, Any]], dict[str, str]] = seams.original(
        apigateway_v1, "_stringify_claims"
    )

    async def validate_strictly(
        authorizer: object, method: Mapping[str, Any], headers: object, query: object, stage: object
    ) -> tuple[Any, Any]:
        token = apigateway_v1._cognito_token_from_request(authorizer, headers, query, stage)
        use = "access" if method.get("authorizationScopes") else "id"
        if not token or not _is_jwt(token, use):
            return None, apigateway_v1._gw_error("UNAUTHORIZED", "Unauthorized")
        return await validate(authorizer, method, headers, query, stage)

    async def keys_of_pool(url: str) -> dict[str, Any]:
        pool_id = url.split("/")[-3]  # …/{pool id}/.well-known/jwks.json
        _, _, body = cognito.well_known_jwks(pool_id)
        keys: dict[str, Any] = json.loads(body)
        return keys

    def stringify_joined(claims: Mapping[str, Any]) -> dict[str, str]:
        lists = {name: value for name, value in claims.items() if isinstance(value, list)}
        return stringify(claims) | {
            name: ",".join(map(str, value)) for name, value in lists.items()
        }

    seams.replace(apigateway_v1, "_validate_cognito_authorizer", validate_strictly)
    seams.replace(apigateway_v1, "_fetch_jwks", keys_of_pool)
    seams.replace(apigateway_v1, "_stringify_claims", stringify_joined)


def _is_jwt(token: str, use: str) -> bool:
    """Whether a token is one for this use, as far as that shows without its key."""
    try:
        header, claims = (_decoded(part) for part in token.split(".")[:2])
    except (ValueError, RecursionError):
        return False
    return (
        header.get("alg") == _ALGORITHM
        and claims.get("token_use") == use
        and isinstance(claims.get("exp"), int)
    )


def _decoded(part: str) -> dict[str, Any]:
    """Decode a part of a token; empty when it is not a JSON object.

    Raises:
        ValueError: it is not JSON in base64url.
        RecursionError: it is nested too deeply.
    """
    padded = part + "=" * (-len(part) % 4)
    value = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    return value if isinstance(value, dict) else {}
