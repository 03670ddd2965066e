"""Who the hub is towards other sides: what the operator gave it, and for which destination it speaks."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HubIdentity:
    """The hub's own identity at AWS, from its settings, and the destination that it is used for.

    Beside it, the test servers that stand in for Google's: no destination may choose those.
    """

    destination_id: str = ""  # the hub's UUID; empty for a set-up that is not saved yet
    aws_arn: str = ""  # of the user that the keys belong to
    aws_access_key_id: str = ""
    aws_secret_access_key: str = field(default="", repr=False)
    aws_ambient: bool = False  # whether destinations may use these keys themselves, without a role
    aws_sts_endpoint: str = ""  # empty: AWS's own, in the destination's region
    gcs_endpoint: str = ""  # empty: Google's own
    gcs_token_endpoint: str = ""  # empty: Google's own

    @property
    def external_id(self) -> str:
        """Return what the hub sends when it assumes a role; nobody can choose it.

        A deputy that serves many sets one id per customer itself, else one customer could name
        another's: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
        It is no secret. Empty for a set-up that is not saved yet.
        """
        return f"terra-hub-{self.destination_id}" if self.destination_id else ""


def current_identity(destination_id: str = "") -> HubIdentity:
    """Return the identity that the settings describe, for one destination."""
    from django.conf import settings

    return HubIdentity(
        destination_id,
        settings.HUB_AWS_ARN,
        settings.HUB_AWS_ACCESS_KEY_ID,
        settings.HUB_AWS_SECRET_ACCESS_KEY,
        settings.HUB_AWS_AMBIENT == "allowed",
        settings.HUB_AWS_STS_ENDPOINT,
        settings.GCS_ENDPOINT,
        settings.GCS_TOKEN_ENDPOINT,
    )
