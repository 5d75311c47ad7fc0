"""Who a request's caller is: only whoever's signature was verified for this request.

MiniStack 1.5.33 reads the caller's access key out of the request wherever it needs it, and checks
the signature elsewhere; a request that the check does not look at is its claimed key's all the
same. Here the verification leaves the signer in a variable of the request (see `front_door.py`),
and nothing else does. The access key that MiniStack finds in a request is that signer's or none,
and where its evaluator resolves a key to a principal, any other key is refused, whatever way it
came there: the root user's, a user's, an assumed role's and a function's.

The credential scope names the service that the request is for ("Elements of an AWS API request
signature", IAM user guide). A request that is signed for one service and answered by another is
refused. The local cloud serves every Region at one address, so a request's Region is the scope's.

MiniStack makes a function's credentials out of its name and its role's, so that everybody can
compute them. Here they are random, new with each start of the local cloud.
"""

import contextvars
import hashlib
import hmac
import os
import secrets
from functools import partial
from typing import Any

from ministack.core import iam_evaluator, lambda_runtime, router
from ministack.core.iam_evaluator import AuthError, PrincipalInfo
from ministack.services import sts

from orderctl.localcloud import seams
from orderctl.localcloud.gaps.iam import memory
from orderctl.localcloud.gaps.iam.signatures import SignatureError, Signer

# Where a service's name in credential scopes is not its prefix in IAM actions.
_SCOPES = {
    "cloudformation": "cloudcontrolapi",
    "cloudwatch": "monitoring",
    "iot": "iotdata",
    "iotjobsdata": "iot-jobs-data",
    "s3": "s3files",
    "tag": "tagging",
}

_signer: contextvars.ContextVar[Signer | None] = contextvars.ContextVar("signer", default=None)
_failure: contextvars.ContextVar[SignatureError | None] = contextvars.ContextVar(
    "signature_failure", default=None
)


def set_verified(signer: Signer | None, failure: SignatureError | None = None) -> None:
    """Say who signed the request that is being answered.

    Args:
        signer: The one whose signature was verified; None for nobody.
        failure: Why a signature that is there is not believed.
    """
    _signer.set(signer)
    _failure.set(failure)


def verified_key() -> str:
    """The access key that signed the request; empty when none did."""
    signer = _signer.get()
    return signer.access_key_id if signer else ""


def verified_service() -> str:
    """The service that the request was signed for; empty when it is not signed."""
    signer = _signer.get()
    return signer.service if signer else ""


def install() -> None:
    """Let MiniStack know no other caller, and one root key only."""
    resolve = seams.original(iam_evaluator, "resolve_principal")
    identify = seams.original(iam_evaluator, "resolve_caller_identity")
    enforce = seams.original(iam_evaluator, "enforce")
    policy_of = seams.original(iam_evaluator, "_resource_policy")
    signed_region = seams.original(router, "extract_signed_region")

    def resolve_verified(
        access_key_id: str, account_id: str, credential: object = None
    ) -> PrincipalInfo | AuthError:
        if refusal := _refusal(access_key_id):
            return refusal
        # A credential, if it is given, is what the key was looked up to be.
        return memory.remembered(
            ("principal", access_key_id, account_id),
            lambda: resolve(access_key_id, account_id, credential),
        )

    def identify_verified(access_key_id: str) -> dict[str, Any] | None:
        if _refusal(access_key_id):
            return None
        identity: dict[str, Any] | None = identify(access_key_id)
        return identity

    def enforce_scope(
        access_key_id: str, action: str, service: str, *request: object, **context: object
    ) -> object:
        signer = _signer.get()
        prefix = action.partition(":")[0]
        if signer and signer.service not in {prefix, _SCOPES.get(prefix)}:
            return AuthError(
                "SignatureDoesNotMatch",
                f"Credential should be scoped to correct service: '{prefix}'. ",
            )
        decide = partial(enforce, access_key_id, action, service, *request, **context)
        if not access_key_id or access_key_id != verified_key():
            return decide()
        # The same is asked again and again: by each request, and for each item of a transaction.
        resource = str(context.get("resource_arn") or (*request, "*", "*")[1])
        asked = (access_key_id, action, service, request, repr(context))
        by = (iam_evaluator._request_origin.get(), repr(policy_of(service, resource)))
        return memory.remembered(("decision", asked, by), decide)

    root_key = os.environ["AWS_ACCESS_KEY_ID"]
    seams.replace_everywhere(iam_evaluator, "is_root_access_key", lambda key: key == root_key)
    seams.replace_everywhere(
        router, "extract_signed_region", lambda *of: signed_region(*of) if verified_key() else None
    )
    seams.replace_everywhere(router, "extract_access_key_id", lambda *_, **__: verified_key())
    seams.replace_everywhere(iam_evaluator, "pin_signed_request", _pin)
    seams.replace_everywhere(iam_evaluator, "authenticate", lambda key, _: _refusal(key))
    seams.replace_everywhere(iam_evaluator, "resolve_principal", resolve_verified)
    seams.replace_everywhere(iam_evaluator, "resolve_caller_identity", identify_verified)
    seams.replace_everywhere(iam_evaluator, "enforce", enforce_scope)
    seams.replace_everywhere(lambda_runtime, "execution_credentials", _function_credentials)


def _refusal(access_key_id: str) -> AuthError | None:
    """Why a key is not the caller's; None when it is."""
    key = verified_key()
    if key and access_key_id == key:
        return None
    failure = _failure.get()
    if failure:
        return AuthError(failure.code, str(failure))
    return AuthError("MissingAuthenticationToken", "The request is not signed.")


def _pin(*_request: object, **_more: object) -> None:
    """Tell MiniStack, in its own variables, that there is nothing left to verify."""
    key = verified_key()
    iam_evaluator._signed_request.set(None)
    iam_evaluator._verified_key.set(key)
    iam_evaluator._anonymous.set(not key and _failure.get() is None)


_SECRET = secrets.token_bytes(32)


def _function_credentials(configuration: dict[str, Any]) -> dict[str, str]:
    """Credentials of a function's role; the same for each of the function's processes."""
    function, role = configuration["FunctionArn"], configuration.get("Role", "")
    account = function.split(":")[4]
    role_name = role.rsplit("/", 1)[-1]
    session = configuration["FunctionName"][:64]
    key = f"ASIA{_derived('key', function, role)[:16].upper()}"
    secret, token = _derived("secret", function, role), _derived("token", function, role)
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{session}",
            "UserId": f"{role_name}:{session}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
    }


def _derived(*of: str) -> str:
    return hmac.new(_SECRET, "\n".join(of).encode(), hashlib.sha256).hexdigest()
