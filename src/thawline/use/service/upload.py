"""A request with pictures, as a form or as they are -> their names and bytes, or a refusal that says what is wrong.

One idea: a form is read in memory and in UTF-8, whatever character set it claims, and one that does not end is refused
as a whole, so that no picture that was sent goes unanswered.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from thawline.core.errors import DataError, first_few
from thawline.data.formats import format_of
from thawline.use.service.gate import Limits
from thawline.use.service.refusal import RefusedError
from thawline.use.service.turns import Sent

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["FIELD", "FIELDS", "read_pictures"]

FIELD = "pictures"
FIELDS = (FIELD, "picture", "file", "files", "image", "images")
"""Fields of a form that pictures are taken from, the first of which is ours."""

RAW_TYPES = (b"image/", b"application/octet-stream")
UNTYPED = (b"", b"application/x-www-form-urlencoded")
"""What a request says whose sender said nothing, such as `curl --data-binary @PICTURE`: its body says what it is."""

MAX_PARTS = 1000
ACCEPTED = (
    f"a form (multipart/form-data) with a file in its field `{FIELD}`, or a picture as the body with its Content-Type "
    "(such as image/jpeg)"
)


async def read_pictures(request: Request, limits: Limits) -> list[Sent]:
    """Return every picture in the fields `FIELDS` of a form, in their order, or the one that is the body.

    Raises:
        RefusedError: Status 400: no form that can be read; 413: too many pictures; 422: none.
    """
    header = request.headers.get("content-type")
    kind, options = parse_options_header(header)
    if kind.startswith(RAW_TYPES):
        return [Sent("picture 1", await request.body())]
    if kind in UNTYPED and _is_picture(body := await request.body()):
        return [Sent("picture 1", body)]
    if kind != b"multipart/form-data":
        found = f"Content-Type is {kind.decode('latin-1')[:60]}" if kind else "there is no Content-Type"
        raise RefusedError(422, f"{found}; {ACCEPTED}, is required")
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


def _is_picture(body: bytes) -> bool:
    """Whether bytes begin as a picture does."""
    try:
        format_of(body)
    except DataError:
        return False
    return True


def _pictures(form: FormData, limits: Limits) -> list[Sent]:
    """Return every picture of a form."""
    fields = [(name, value) for name, value in form.multi_items() if name in FIELDS]
    if not fields:
        names = [f"`{name[:40]}`" for name in dict.fromkeys(form)]
        found = (
            f"the form has the field{'s' if len(names) > 1 else ''} {first_few(names, 3)}"
            if names
            else "the form is empty"
        )
        others = ", ".join(f"`{name}`" for name in FIELDS[1:])
        raise RefusedError(422, f"{found}; a file in a field `{FIELD}` is required ({others} will do as well)")
    files = [value for _, value in fields if isinstance(value, UploadFile)]
    if len(files) < len(fields):
        name = next(name for name, value in fields if not isinstance(value, UploadFile))
        raise RefusedError(
            422,
            f"the form's field `{name}` is text; a file is required, with `filename=` in its part's header (curl: "
            f"-F {name}=@PICTURE, with the @)",
        )
    if len(files) > limits.max_pictures:
        raise RefusedError(413, f"{len(files):,} pictures are more than the {limits.max_pictures} allowed in a request")
    return [Sent(file.filename or f"picture {number}", file.file.read()) for number, file in enumerate(files, start=1)]


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
