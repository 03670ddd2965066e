"""What an operator runs at Google: an account for the hub, its right on the bucket, and its key."""

from destinations.adapters.gcs_config import ROLE, GcsConfig
from destinations.adapters.terraform import module, quoted, resource, secret_output, variable

_TEXT = """\
PROJECT=your-project
ACCOUNT=terra-hub@$PROJECT.iam.gserviceaccount.com

# An account for the hub alone:
gcloud iam service-accounts create terra-hub --project=$PROJECT --display-name="Terra destination hub"

# Its right, on this bucket only (an overwrite is a deletion and a creation, so objectCreator is not enough):
gcloud storage buckets add-iam-policy-binding gs://{bucket} --member=serviceAccount:$ACCOUNT \\
  --role={role}

# Its key: upload the file here, then delete it.
gcloud iam service-accounts keys create terra-hub-key.json --iam-account=$ACCOUNT
"""


def setup_text(config: GcsConfig) -> str:
    """Return the commands, with the bucket's name in them."""
    return _TEXT.format(bucket=config.bucket, role=ROLE)


def terraform_text(config: GcsConfig) -> str:
    """Return the module that makes the account, its right and its key."""
    account = "google_service_account.terra_hub"
    made = {
        "project": "var.project",
        "account_id": quoted("terra-hub"),
        "display_name": quoted("Terra destination hub"),
    }
    right = {"bucket": quoted(config.bucket), "role": quoted(ROLE), "member": f"{account}.member"}
    return module(
        variable("project", "The project of Google Cloud that the account is made in."),
        resource("google_service_account", "terra_hub", made),
        resource("google_storage_bucket_iam_member", "terra_hub", right),
        resource("google_service_account_key", "terra_hub", {"service_account_id": f"{account}.name"}),
        secret_output("service_account_key", "base64decode(google_service_account_key.terra_hub.private_key)"),
        about=["The key is in Terraform's state: keep that as you keep secrets, or make the key by hand."],
    )
