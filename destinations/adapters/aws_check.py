"""What the checks of destinations on AWS share: which errors are about signing in, and how widely a role trusts."""

import secrets
from typing import TYPE_CHECKING

from destinations.adapters.aws_errors import code_of
from destinations.adapters.base import StepFailed, StepStatus

if TYPE_CHECKING:
    from destinations.adapters.aws import AwsAccess

# Errors that say that the key or the signature is not taken.
SIGN_IN_CODES = frozenset(
    {
        "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired", "ExpiredToken",
        "ExpiredTokenException", "InvalidToken", "InvalidClientTokenId", "UnrecognizedClientException",
        "IncompleteSignature", "OptInRequired", "AccountProblem",
    }
)  # fmt: skip
_HINT = (
    "Add the condition of the set-up text to the role's trust policy. Without it, whoever else can use the hub could "
    "name this role in a destination of their own."
)


def is_about_signing_in(code: str) -> bool:
    """Tell whether a failure's code is about the key, the signature, or the role."""
    return code in SIGN_IN_CODES or code.startswith("AssumeRole.")


def trust_is_narrow(access: "AwsAccess") -> str:
    """Assume the role without an external id, and with a wrong one; raise ``StepFailed`` where that works."""
    from botocore.exceptions import BotoCoreError, ClientError

    for said, external_id in (("without an external id", None), ("with any external id", secrets.token_hex(8))):
        try:
            access.assume(external_id)
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and code_of(error) in ("AccessDenied", "AccessDeniedException"):
                continue
            raise StepFailed(f"Could not be tried: {type(error).__name__}.", status=StepStatus.SKIPPED) from None
        raise StepFailed(f"The role can be assumed {said}.", _HINT, StepStatus.WARNING)
    return "The role trusts the hub only together with this destination's external id."
