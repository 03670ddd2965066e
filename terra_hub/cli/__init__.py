"""The command line, ``manage.py hub`` and ``terra-hub``: thin commands over the use cases of admin and API."""
