"""Payload stores: the file system, S3 and Google Cloud Storage, each a storage of Django's ``STORAGES``.

``base`` says what ``keeping.payloads`` asks of them. S3 and GCS are django-storages' with what this
use needs changed; Django imports the chosen one on first use, so nobody loads a client that is not used.
"""
