"""The API of API keys: made, listed, revoked."""

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.access.keys import default_end, make_key, revoke_key
from destinations.access.limits import keys_of
from destinations.access.serializers import ApiKeyCreatedSerializer, ApiKeyCreateSerializer, ApiKeySerializer
from destinations.apibase import ApiViewSet
from destinations.models import ApiKey


@extend_schema_view(
    list=extend_schema(summary="List API keys", description="Also those that have expired or were revoked."),
    retrieve=extend_schema(summary="Show an API key", description="Its text is not shown again."),
)
class ApiKeyViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Keys of this API. One that is limited to sources sees and makes keys within these only."""

    serializer_class = ApiKeySerializer
    action_permissions: ClassVar[dict[str, list[str]]] = {"destroy": ["destinations.change_apikey"]}

    def get_queryset(self) -> QuerySet[ApiKey]:
        """Return the keys that the caller may see."""
        rows: QuerySet[ApiKey] = ApiKey.objects.all()
        return keys_of(self.by, rows)

    @extend_schema(summary="Make an API key", request=ApiKeyCreateSerializer, responses={201: ApiKeyCreatedSerializer})
    def create(self, request: Request) -> Response:
        """Make a key with no more than the caller's own rights. Its text, `key`, is in the answer, this once."""
        wanted = ApiKeyCreateSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        made = make_key(by=self.by, **{"expires_at": default_end(self.by), **wanted.validated_data})
        return Response(ApiKeySerializer(made.row).data | {"key": made.text}, status=201)

    @extend_schema(summary="Revoke an API key", responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Let it open nothing any more, at once and for good. It stays in the list, as revoked."""
        revoke_key(self.get_object(), by=self.by)
        return Response(status=204)
