"""A model -> a small web service: predictions, a page to drop pictures on, the Open Inference Protocol, numbers.

One idea: torch is never loaded, and neither is the web framework until it is needed. `ready_export` finds or makes the
file that answers, `application` answers, and `server` runs it on the connections of `connection`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from thawline.core.errors import UsageError

if TYPE_CHECKING:
    from thawline.use.model_place import ModelPlace
    from thawline.use.service.gate import Limits
    from thawline.use.service.served import Served

__all__ = ["serve"]


def serve(
    model: Path | str,
    *,
    ready: Callable[[str], None],
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: Limits | None = None,
    allowed_hosts: Collection[str] = (),
    token_file: Path | str | None = None,
    keep_unsure: Path | str | None = None,
    log: TextIO | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer requests with a model until SIGTERM or SIGINT stops the process.

    Args:
        model: A run's folder, a model folder, or an ONNX file that `export` wrote. One that is not exported yet is
            exported first, by another process.
        ready: Called with the address once requests are accepted.
        host: Address to listen on; `127.0.0.1` is reached from this machine only.
        port: Port; 0 takes a free one.
        limits: The largest request that is answered.
        allowed_hosts: Names besides `host` and this machine's own that requests may call the service by.
        token_file: File with the token that requests must show; required where `host` lets other machines in.
        keep_unsure: Folder in which pictures are kept on which the model abstains, for labelling; None keeps none.
        log: Where a line of JSON is written for each request; None writes none.
        note: Told what takes a while, and what goes wrong meanwhile, in a sentence.

    Raises:
        BundleError: There is no such model, it is damaged, or it cannot be exported.
        StoreError: `keep_unsure` cannot be written to.
        UsageError: The address cannot be listened on or needs a token, the token file is not as it must be,
            `thawline[serve]` is not installed, or what exporting needs is not.
    """
    try:
        from thawline.use.service.access import Access, host_name, listen, read_token
        from thawline.use.service.application import make_app
        from thawline.use.service.ready_export import servable
        from thawline.use.service.server import DrainingServer, allow_connections, server_config, stopped_by_sigterm
    except ImportError as error:
        raise UsageError(
            "serve: fastapi, uvicorn, python-multipart, prometheus-client and onnxruntime are required and cannot be "
            f"loaded ({error}). Run `pip install thawline[serve]`."
        ) from None
    names = frozenset(map(host_name, allowed_hosts))
    access = Access(names | {host.lower()}, None if token_file is None else read_token(Path(token_file)))
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a line for every form that is not one
    max_connections = allow_connections()
    with suppress(KeyboardInterrupt), ExitStack() as stack:  # the usual ways to stop it
        stack.enter_context(stopped_by_sigterm())
        listener = stack.enter_context(listen(host, port, is_guarded=access.token is not None))
        place = stack.enter_context(servable(model, note=note))
        served = _served(place, limits, keep_unsure=keep_unsure, log=log, note=note)
        stack.callback(served.close)
        address = f"[{host}]" if ":" in host else host
        ready(f"http://{address}:{listener.getsockname()[1]}")
        config = server_config(make_app(served, access=access), max_connections=max_connections)
        DrainingServer(config, served).run(sockets=[listener])


def _served(
    place: ModelPlace,
    limits: Limits | None,
    *,
    keep_unsure: Path | str | None,
    log: TextIO | None,
    note: Callable[[str], None],
) -> Served:
    """Open a model and all that goes with it."""
    from thawline.core.errors import BundleError
    from thawline.use.neighbours import neighbours_beside
    from thawline.use.onnx_model import open_onnx
    from thawline.use.service.gate import Limits
    from thawline.use.service.request_log import RequestLog
    from thawline.use.service.served import Served, model_name
    from thawline.use.service.unsure import UnsureFolder

    export = place.onnx or place.named
    model = open_onnx(export, num_threads=1)
    try:
        neighbours = neighbours_beside(export, model.facts)
    except BundleError as error:
        note(f"{error} Until then the service answers without them.")
        neighbours = None
    return Served(
        model,
        limits or Limits(),
        name=model_name(place),
        place=place,
        neighbours=neighbours,
        unsure=None if keep_unsure is None else UnsureFolder(keep_unsure, note=note),
        log=None if log is None else RequestLog(log),
    )
