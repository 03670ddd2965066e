"""What the control plane tells those who depend on it, without importing them."""

from django.dispatch import Signal

# Sent after the transaction that deleted a destination has committed, with ``destination_id``.
destination_deleted = Signal()
