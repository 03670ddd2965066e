"""What Terraform's modules for SQL servers have in common."""

from destinations.adapters.terraform import variable

PASSWORD = "var.terra_hub_password"  # noqa: S105  # a reference, no password
ABOUT = ["Run it as the administrator that the provider is set up with. The password is kept in Terraform's state."]


def password_variable() -> str:
    """Return the variable that the user's password comes from."""
    return variable("terra_hub_password", "What is typed into the destination's Password.", secret=True)
