"""The artifact bucket: for the functions' packages, and for templates too large for a request.

There is one per account and region: private, encrypted, versioned, and over TLS only.
"""

from __future__ import annotations

import base64
import hashlib
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from orderctl.deploying.errors import StackError
from orderctl.deploying.package import Artifact
from orderctl.deploying.template import CODE_BUCKET, CODE_KEY, CODE_VERSION

if TYPE_CHECKING:
    import boto3
    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client

_PROJECT = "order-pipeline"
_LARGEST_INLINE_TEMPLATE_BYTES = 51_200
# The version id that S3 gives an object stored without versioning.
_UNVERSIONED = "null"


def bucket_name(account: str, region: str) -> str:
    """The name of an account's artifact bucket in a region."""
    return f"{_PROJECT}-artifacts-{account}-{region}"


def ensure_bucket(session: boto3.Session) -> str:
    """Create the artifact bucket if it is missing, secure it, and return its name.

    Raises:
        StackError: The bucket belongs to another account.
    """
    account = session.client("sts").get_caller_identity()["Account"]
    region = session.region_name
    bucket = bucket_name(account, region)
    s3 = session.client("s3")
    try:
        # Bucket names are global, so check that the bucket is ours.
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except s3.exceptions.ClientError as error:
        if _status(error) == HTTPStatus.FORBIDDEN:
            raise StackError(
                f"The artifact bucket {bucket} belongs to another account, or these credentials "
                "may not use it."
            ) from error
        if _status(error) != HTTPStatus.NOT_FOUND:
            raise
        _create(s3, bucket, region)
    if not _is_secured(s3, bucket):
        _secure(s3, bucket, session.get_partition_for_region(region))
    return bucket


def upload(
    session: boto3.Session, bucket: str, stack_name: str, artifact: Artifact
) -> dict[str, str]:
    """Upload the package for Lambda, unless it is in the bucket already.

    Each stack has keys of its own, so that a role that may deploy one stack cannot replace the
    code of another. An object is reused only if S3 has the same checksum for it.

    Returns:
        The template's parameters that name the package: bucket, key and version.

    Raises:
        StackError: The bucket keeps no versions, so the code could be replaced under its key.
    """
    s3 = session.client("s3")
    key = f"{stack_name}/functions/{artifact.sha256}.zip"
    digest = base64.b64encode(bytes.fromhex(artifact.sha256)).decode()
    version = _find_stored(s3, bucket, key, digest)
    if version is None:
        put = s3.put_object(Bucket=bucket, Key=key, Body=artifact.content, ChecksumSHA256=digest)
        version = put.get("VersionId", _UNVERSIONED)
    if version == _UNVERSIONED:
        raise StackError(
            f"The artifact bucket {bucket} keeps no versions. Turn that on:\n  aws s3api "
            f"put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
        )
    return {CODE_BUCKET: bucket, CODE_KEY: key, CODE_VERSION: version}


def _find_stored(s3: S3Client, bucket: str, key: str, digest: str) -> str | None:
    """The version of the object with this key and checksum; None when there is none."""
    try:
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except s3.exceptions.ClientError as error:
        if _status(error) != HTTPStatus.NOT_FOUND:
            raise
        return None
    version = head.get("VersionId", _UNVERSIONED)
    is_ours = head.get("ChecksumSHA256") == digest and version != _UNVERSIONED
    return version if is_ours else None


def template_arguments(
    session: boto3.Session, bucket: str, stack_name: str, body: str
) -> dict[str, str]:
    """The template for a request: itself, or its URL in the bucket when it is too large."""
    encoded = body.encode()
    if len(encoded) <= _LARGEST_INLINE_TEMPLATE_BYTES:
        return {"TemplateBody": body}
    s3 = session.client("s3")
    key = f"{stack_name}/templates/{hashlib.sha256(encoded).hexdigest()}.yaml"
    s3.put_object(Bucket=bucket, Key=key, Body=encoded)
    return {"TemplateURL": f"{s3.meta.endpoint_url}/{bucket}/{key}"}


def _create(s3: S3Client, bucket: str, region: str) -> None:
    if region == "us-east-1":  # the one region that CreateBucket refuses by name
        s3.create_bucket(Bucket=bucket)
    else:
        s3.create_bucket(
            Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
        )


def _is_secured(s3: S3Client, bucket: str) -> bool:
    """Whether the bucket has its last setting: an earlier deployment may have been cut short."""
    try:
        s3.get_bucket_policy(Bucket=bucket)
    except s3.exceptions.ClientError as error:
        if _status(error) != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True


def _secure(s3: S3Client, bucket: str, partition: str) -> None:
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_tls_only(bucket, partition)))


def _tls_only(bucket: str, partition: str) -> dict[str, object]:
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
