"""AWS Signature Version 4: who signed a request, and whether what came is what was signed.

AWS ("Create a signed AWS API request" and "Elements of an AWS API request signature", IAM user
guide) takes a signature from one Authorization header or from the query, never from both. It
covers the method, the path, the query, the body, the host and every `x-amz-` header, for one day,
Region and service. A request must arrive within minutes of its date; how many, MiniStack knows
for each service. A presigned one is good as long as its X-Amz-Expires says, a week at most
("Authenticating Requests: Using Query Parameters", S3 API reference).

Whatever can be read in two ways is refused: two headers of one name, a query parameter twice, an
Authorization header in another form than the one that AWS's SDKs send. So MiniStack, which reads
the request again, cannot read it differently. SigV4A and Signature Version 2 are refused, too.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from ministack.core import sigv4
from ministack.core.iam_evaluator import (
    CredentialResolutionError,
    ResolvedCredential,
    find_iam_access_key_account,
    resolve_credential,
)
from ministack.core.responses import _account_from_sts_session

from orderctl.localcloud.asgi import Scope
from orderctl.localcloud.gaps.iam import memory

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<credential>[^,\s]+), ?"
    r"SignedHeaders=(?P<signed_headers>[a-z0-9;_-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_CREDENTIAL = re.compile(r"([A-Za-z0-9_-]+)/([0-9]{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_QUERY_NAMES = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)
# Names that make a query one with credentials, of this version or of Signature Version 2.
_CREDENTIALS = frozenset({"x-amz-algorithm", "x-amz-credential", "x-amz-signature"})
_OLD_CREDENTIALS = frozenset({"awsaccesskeyid"})
_LONGEST_EXPIRY = timedelta(days=7)
_CLOCK_SKEW = timedelta(minutes=15)


class SignatureError(Exception):
    """A request that is not signed as it should be.

    Attributes:
        code: AWS's name of the error, as MiniStack knows it.
    """

    def __init__(self, message: str, code: str = "SignatureDoesNotMatch") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose key signed a request, and for which service."""

    access_key_id: str
    service: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its body.

    Attributes:
        method: The HTTP method.
        raw_path: The path as it was sent, still encoded.
        query: Each parameter's values.
        headers: Each header's value, by its lower-case name; the values of one sent several times
            are joined by commas, as SigV4 has it.
        repeated: The names of the headers that were sent several times.
    """

    method: str
    raw_path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    repeated: frozenset[str]

    @classmethod
    def of(cls, scope: Scope) -> "Request":
        """The request of an ASGI scope."""
        headers: dict[str, str] = {}
        repeated: set[str] = set()
        for raw_name, raw_value in scope["headers"]:
            name = bytes(raw_name).decode("latin-1").lower()
            value = sigv4.decode_header_value(bytes(raw_value))
            if name in headers:
                repeated.add(name)
                value = f"{headers[name]},{value}"
            headers[name] = value
        return cls(
            scope["method"],
            bytes(scope["raw_path"]).decode("latin-1"),
            parse_qs(bytes(scope["query_string"]).decode("latin-1"), keep_blank_values=True),
            headers,
            frozenset(repeated),
        )

    @property
    def signed_in_query(self) -> bool:
        """Whether the query has credentials, of whatever kind."""
        names = {name.lower() for name in self.query}
        return bool(names & (_CREDENTIALS | _OLD_CREDENTIALS))

    @property
    def signed(self) -> bool:
        """Whether it has any credentials."""
        return "authorization" in self.headers or self.signed_in_query


class Signature:
    """The signature of a request, read but not verified yet.

    Args:
        request: The request that has it.

    Raises:
        SignatureError: It is incomplete, ambiguous, too old, or of a key that is not known.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._presigned = request.signed_in_query
        self._check_unambiguous()
        self._parts = self._query_parts() if self._presigned else self._header_parts()
        self._check_signed_headers()
        self._check_date()
        token = (
            request.query.get("X-Amz-Security-Token", [""])[0]
            if self._presigned
            else request.headers.get("x-amz-security-token", "")
        )
        key = self._parts.access_key_id
        credential = memory.remembered(("key", key, token), lambda: _credential(key, token))
        if isinstance(credential, CredentialResolutionError):
            raise SignatureError(credential.message, credential.code)
        self._secret: str = credential.secret_access_key

    def verify(self, body: bytes) -> Signer:
        """Compare the signature with what came.

        Raises:
            SignatureError: It is not the key's, or not of this request.
        """
        self._check_body(body)
        failure = sigv4.header_signature_failure(
            self._parts,
            self._secret,
            self._request.method,
            self._request.raw_path,
            self._request.query,
            self._request.headers,
            body,
            presigned=self._presigned,
        )
        if failure:
            raise SignatureError(failure[1], failure[0])
        return Signer(self._parts.access_key_id, self._parts.service)

    def _check_unambiguous(self) -> None:
        request = self._request
        if self._presigned and "authorization" in request.headers:
            raise SignatureError(
                "A request is signed in its Authorization header or in its query, not in both.",
                "UnsupportedSignature",
            )
        repeated = [
            name
            for name in request.repeated
            if name in {"authorization", "host"} or name.startswith("x-amz-")
        ]
        if repeated:
            raise SignatureError(f"There are several {min(repeated)} headers.")
        if not self._presigned:
            return
        counts = Counter(name.lower() for name, values in request.query.items() for _ in values)
        twice = [name for name in counts if name.startswith("x-amz-") and counts[name] > 1]
        if twice:
            raise SignatureError(f"The query has {min(twice)} several times.")

    def _header_parts(self) -> sigv4.HeaderSignature:
        found = _HEADER.fullmatch(self._request.headers["authorization"])
        if found is None:
            raise SignatureError(
                "The Authorization header is not an AWS4-HMAC-SHA256 signature.",
                "IncompleteSignature",
            )
        date = self._request.headers.get("x-amz-date", "")
        return _parts(found["credential"], found["signed_headers"], found["signature"], date)

    def _query_parts(self) -> sigv4.HeaderSignature:
        values = [self._request.query.get(name, [""])[0] for name in _QUERY_NAMES]
        algorithm, credential, date, signed_headers, signature = values
        if algorithm != "AWS4-HMAC-SHA256":
            raise SignatureError(
                "The query is not signed with AWS4-HMAC-SHA256.", "UnsupportedSignature"
            )
        return _parts(credential, signed_headers, signature, date)

    def _check_signed_headers(self) -> None:
        must = {name for name in self._request.headers if name.startswith("x-amz-")} | {"host"}
        left_out = must - set(self._parts.signed_headers.split(";"))
        if left_out:
            raise SignatureError(f"The signature leaves out the header {min(left_out)}.")

    def _check_date(self) -> None:
        if not self._presigned:
            skewed = sigv4.request_time_failure(self._parts)
            if skewed:
                raise SignatureError(skewed[1], skewed[0])
            return
        signed = datetime.strptime(self._parts.amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        expires = self._request.query.get("X-Amz-Expires", [""])[0]
        if not re.fullmatch(r"[0-9]{1,6}", expires):
            raise SignatureError("X-Amz-Expires is not a number of seconds.", "IncompleteSignature")
        lifetime, now = timedelta(seconds=int(expires)), datetime.now(UTC)
        if lifetime > _LONGEST_EXPIRY or not signed - _CLOCK_SKEW <= now <= signed + lifetime:
            raise SignatureError("Request has expired", "RequestExpired")

    def _check_body(self, body: bytes) -> None:
        """Compare the body with the hash that was signed; S3 alone may be told of none."""
        named = self._request.headers.get("x-amz-content-sha256")
        if named is None or (self._parts.service == "s3" and _unhashed(named)):
            return
        if named != hashlib.sha256(body).hexdigest():
            raise SignatureError("The body is not the one that x-amz-content-sha256 is about.")


def _credential(key: str, token: str) -> ResolvedCredential | CredentialResolutionError:
    """What is on record of a key; the token must be its own."""
    account = _account_from_sts_session(key) or find_iam_access_key_account(key)
    return resolve_credential(key, account, token)


def _parts(
    credential: str, signed_headers: str, signature: str, date: str
) -> sigv4.HeaderSignature:
    scope = _CREDENTIAL.fullmatch(credential)
    if scope is None:
        raise SignatureError(
            "The credential is not of the form key/date/region/service/aws4_request.",
            "IncompleteSignature",
        )
    if not _SHA256.fullmatch(signature):
        raise SignatureError("The signature is not of 64 hexadecimal digits.")
    if not _DATE.fullmatch(date) or sigv4._amz_datetime(date) is None:
        raise SignatureError("X-Amz-Date is missing, or not a date.", "IncompleteSignature")
    return sigv4.HeaderSignature(*scope.groups(), signed_headers, signature, date)


def _unhashed(named: str) -> bool:
    """Whether S3 takes a body without one hash of the whole: unsigned, or signed in chunks."""
    return named == sigv4.UNSIGNED_PAYLOAD or named.startswith("STREAMING-")
