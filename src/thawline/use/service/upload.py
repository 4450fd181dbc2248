"""A form with pictures -> their names and bytes, or a refusal that says what is wrong with the form.

One idea: a form is read in memory and in UTF-8, whatever character set it claims, and one that does not end is refused
as a whole, so that no picture that was sent goes unanswered.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from thawline.use.service.gate import Limits
from thawline.use.service.refusal import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["FIELD", "read_pictures"]

FIELD = "pictures"
MAX_PARTS = 1000


async def read_pictures(request: Request, limits: Limits) -> list[tuple[str, bytes]]:
    """Return name and bytes of every picture in the form field `pictures`, in their order.

    Raises:
        RefusedError: Status 400: no form that can be read; 413: too many pictures; 422: none.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise RefusedError(422, f"a form (multipart/form-data) with a file in its field `{FIELD}` is required")
    edge = options.get(b"boundary", b"")
    if not edge:
        raise RefusedError(400, "the form names no boundary between its parts")
    quoted = edge.replace(b"\\", b"\\\\").replace(b'"', b'\\"').decode("latin-1")
    plain = Headers({"content-type": f'multipart/form-data; boundary="{quoted}"'})
    parser = _WholeForm(plain, request.stream(), max_files=MAX_PARTS, max_fields=MAX_PARTS)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusedError(400, f"the form cannot be read: {error.message}") from None
    try:
        return _pictures(form, limits)
    finally:
        await form.close()


def _pictures(form: FormData, limits: Limits) -> list[tuple[str, bytes]]:
    """Return name and bytes of every picture of a form."""
    fields = form.getlist(FIELD)
    files = [field for field in fields if isinstance(field, UploadFile)]
    if not files or len(files) < len(fields):
        raise RefusedError(
            422, f"a file is required in every form field `{FIELD}`, with `filename=` in its part's header"
        )
    if len(files) > limits.max_pictures:
        raise RefusedError(413, f"{len(files):,} pictures are more than the {limits.max_pictures} allowed in a request")
    return [(file.filename or f"picture {number}", file.file.read()) for number, file in enumerate(files, start=1)]


class _WholeForm(MultiPartParser):
    """Starlette's parser, but files stay in memory, and a form without its last boundary is an error."""

    spool_max_size = 1 << 40
    is_ended = False

    async def parse(self) -> FormData:
        """Return the fields of a form.

        Raises:
            MultiPartException: It is damaged or does not end.
        """
        self.stream = self._until_end(self.stream)
        return await super().parse()

    def on_end(self) -> None:
        """Take note of the last boundary."""
        self.is_ended = True

    async def _until_end(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for piece in pieces:
            yield piece
        if not self.is_ended:
            raise MultiPartException("it ends before its last boundary")
