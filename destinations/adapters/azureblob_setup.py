"""What an operator runs at Azure: the container, and what opens it for the hub."""

from destinations.adapters.azureblob_config import ACCOUNT_KEY, AzureBlobConfig
from destinations.adapters.terraform import block, data, module, quoted, resource, secret_output, variable

RIGHTS = "rcw"  # read, create, write: of the container's blobs, and no more
_RIGHTS = ("read", "create", "write")

_CONTAINER = """\
ACCOUNT={account}
CONTAINER={container}

# The container, if it is not there yet (in another cloud than the public one: az cloud set --name AzureChinaCloud):
az storage container create --account-name $ACCOUNT --name $CONTAINER --auth-mode login
"""
_TO_MAKE_A_SAS = """
# What the hub may do, as an access policy of the container: deleting the policy revokes the token.
az storage container policy create --account-name $ACCOUNT --container-name $CONTAINER \\
  --name terra-hub --permissions {rights}

# The token, good for a year. Put what this prints into the SAS token; make a new one before it ends.
az storage container generate-sas --account-name $ACCOUNT --name $CONTAINER --policy-name terra-hub \\
  --https-only --expiry "$(date -u -d '1 year' +%Y-%m-%dT%H:%MZ)" --output tsv

# To erase a person from here too, the policy needs the permissions rcwdl.
"""
_TO_GET_A_KEY = """
# One of the account's keys. It opens the whole account; a SAS token opens the container only.
az storage account keys list --account-name $ACCOUNT --query "[0].value" --output tsv
"""


def setup_text(config: AzureBlobConfig) -> str:
    """Return the commands, with the names of ``config`` in them."""
    opens = _TO_GET_A_KEY if config.auth == ACCOUNT_KEY else _TO_MAKE_A_SAS
    return (_CONTAINER + opens).format(account=config.account, container=config.container, rights=RIGHTS)


def terraform_text(config: AzureBlobConfig) -> str:
    """Return the module that makes the container and what opens it."""
    account = "data.azurerm_storage_account.terra_hub"
    names = {"name": quoted(config.account), "resource_group_name": "var.resource_group"}
    container = {"name": quoted(config.container), "storage_account_id": f"{account}.id"}
    opens = _key_parts(account) if config.auth == ACCOUNT_KEY else _token_parts(account)
    return module(
        variable("resource_group", "The resource group of the storage account."),
        data("azurerm_storage_account", "terra_hub", names),
        resource("azurerm_storage_container", "terra_hub", container),
        *opens,
        about=["What opens the container is in Terraform's state: keep that as you keep secrets."],
    )


def _key_parts(account: str) -> list[str]:
    return [secret_output("account_key", f"{account}.primary_access_key")]


def _token_parts(account: str) -> list[str]:
    rights = {
        name: "true" if name in _RIGHTS else "false" for name in ("read", "add", "create", "write", "delete", "list")
    }
    token = {
        "connection_string": f"{account}.primary_connection_string",
        "container_name": "azurerm_storage_container.terra_hub.name",
        "https_only": "true",
        "start": "var.sas_start",
        "expiry": "var.sas_expiry",
    }
    return [
        variable("sas_start", "From when the token opens the container: 2026-01-31."),
        variable("sas_expiry", "When the token ends: 2027-01-31. Put a new one in before."),
        data("azurerm_storage_account_blob_container_sas", "terra_hub", token, block("permissions", rights)),
        secret_output("sas_token", "data.azurerm_storage_account_blob_container_sas.terra_hub.sas"),
    ]
