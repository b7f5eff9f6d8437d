"""`/v1`: photos in, pictures out."""

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Form, Request, Response, UploadFile
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from jointmat import __version__
from jointmat.backgrounds import DRAWN, draw
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_image
from jointmat.io.write import encode_image
from jointmat.matte import Matte
from jointmat.predictor import Predictor
from jointmat.serve.gate import Check
from jointmat.serve.limits import Limits
from jointmat.serve.memory import Answer
from jointmat.serve.problems import CLIENT_GONE, MEDIA_TYPE, RESPONSES, Problem
from jointmat.serve.uploads import Picture, UploadRoute, received
from jointmat.subject import parse_subject

Render = Callable[[Matte], np.ndarray]

_THUMBNAIL = 180, 240
_MULTIPART = Form(media_type="multipart/form-data")
_LOSSLESS = "image/png", "image/webp"
_MEDIA = {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg"}


class Photo(BaseModel, extra="forbid"):
    """What every request for a picture has."""

    image: UploadFile = Field(description="The photo: JPEG, PNG, WebP, BMP, TIFF, GIF or PPM.")
    format: Literal["png", "webp"] = Field("png", description="Of the answer; both without loss.")
    subject: str = Field(
        "all",
        description="Of several people: `all`, the `largest`, or the one at `x,y` in pixels.",
        pattern=r"^(all|largest|[0-9]{1,6},[0-9]{1,6})$",
    )
    fill_holes: bool = Field(False, description="Make opaque what the subject surrounds.")


class Placing(Photo):
    """A photo and where its subject goes."""

    format: Literal["png", "webp", "jpg"] = Field("png", description="Of the answer; jpg has quality 95.")  # type: ignore[assignment]
    background: str | SkipJsonSchema[None] = Field(
        None,
        description=f"One of {', '.join(DRAWN)}; `blur` for the photo itself, out of focus; or a colour #rrggbb.",
        pattern=rf"^({'|'.join(DRAWN)}|blur|#([0-9a-fA-F]{{3}}){{1,2}})$",
    )
    background_image: UploadFile | SkipJsonSchema[None] = Field(
        None, description="A picture, instead of `background`."
    )
    fit: Literal["fill", "fit"] = Field(
        "fill", description="Of a picture: `fill` crops it to the photo's shape, `fit` shows all of it."
    )
    light: Literal["srgb", "linear"] = Field(
        "srgb", description="Mix stored levels, as image editors do, or light, as a lens does."
    )


class Info(BaseModel):
    """What a client has to know."""

    version: str
    max_bytes: int = Field(description="Of a request's body.")
    max_pixels: int = Field(description="Of a photo or a background.")
    backgrounds: list[str] = Field(description="Names of the drawn backgrounds.")


api = APIRouter(prefix="/v1", tags=["pictures"])
uploads = APIRouter(prefix="/v1", tags=["pictures"], route_class=UploadRoute)


def _picture_of(summary: str, what: str, *media: str) -> dict[str, Any]:
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in media}
    return {
        "summary": summary,
        "responses": {200: {"description": what, "content": content}, **RESPONSES},
        "response_class": Response,
    }


@uploads.post("/alpha", **_picture_of("Alpha matte", "Grey: black background, white subject.", *_LOSSLESS))
async def alpha(request: Request, form: Annotated[Photo, _MULTIPART]) -> Response:
    """The alpha matte: how much of each pixel is the subject."""
    return await _answer(request, form, "alpha", lambda matte: to_uint8(matte.alpha))


@uploads.post(
    "/trimap",
    **_picture_of("Predicted trimap", "0 background, 128 unknown, 255 foreground.", *_LOSSLESS),
)
async def trimap(request: Request, form: Annotated[Photo, _MULTIPART]) -> Response:
    """The network's own trimap: where it is sure, and where it looked closer."""
    return await _answer(request, form, "trimap", lambda matte: matte.trimap)


@uploads.post("/cutout", **_picture_of("Cut-out", "RGBA with straight alpha.", *_LOSSLESS))
async def cutout(request: Request, form: Annotated[Photo, _MULTIPART]) -> Response:
    """The subject alone, its colours cleaned of the old background."""
    return await _answer(request, form, "cutout", Matte.cutout)


@uploads.post("/composite", **_picture_of("Subject on a new background", "RGB.", *_LOSSLESS, "image/jpeg"))
async def composite(request: Request, form: Annotated[Placing, _MULTIPART]) -> Response:
    """The subject in front of another background: give `background` or `background_image`."""
    if (form.background is None) == (form.background_image is None):
        got = "neither" if form.background is None else "both"
        raise Problem(422, f"background: got {got} of background and background_image: send one of them")
    picture = form.background_image and await received(form.background_image, "background_image")
    limits: Limits = request.app.state.limits

    def render(matte: Matte) -> np.ndarray:
        behind: np.ndarray | str
        if picture:
            behind = load_image(picture, max_pixels=limits.pixels)
        else:  # a name, "blur" or a colour, as the form's pattern has it
            name = form.background or ""
            behind = draw(name, *matte.alpha.shape) if name in DRAWN else name
        return matte.composite(behind, fit=form.fit, light=form.light, max_pixels=limits.pixels)

    return await _answer(request, form, "composite", render)


@api.get("/info", summary="Version, limits, backgrounds")
def info(request: Request) -> Info:
    """Version, limits, and the backgrounds there are."""
    limits: Limits = request.app.state.limits
    return Info(
        version=__version__, max_bytes=limits.body_bytes, max_pixels=limits.pixels, backgrounds=list(DRAWN)
    )


@api.get(
    "/backgrounds/{name}",
    summary="A drawn background",
    responses={
        200: {"description": "A small picture of it.", "content": {"image/jpeg": {}}},
        404: {"description": "There is none of this name.", "content": {MEDIA_TYPE: {}}},
    },
    response_class=Response,
)
def background(name: str) -> Response:
    """A drawn background, small."""
    if name not in DRAWN:
        raise Problem(404, f"background: got {name[:100]!r}, expected one of {', '.join(DRAWN)}")
    return Response(_thumbnail(name), media_type="image/jpeg", headers={"Cache-Control": "max-age=86400"})


@lru_cache
def _thumbnail(name: str) -> bytes:
    return encode_image(draw(name, *_THUMBNAIL), "jpg")


async def _answer(request: Request, form: Photo, name: str, render: Render) -> Response:
    """Wait for a worker, and answer with the picture that `render` makes."""
    photo = await received(form.image, "image")
    result = await _unless_gone(request, _job(request, form, photo, render))
    headers = {"Content-Disposition": f'inline; filename="{name}.{form.format}"'}
    return Answer(result, media_type=_MEDIA[form.format], headers=headers)


def _job(request: Request, form: Photo, photo: Picture, render: Render) -> Callable[[Check], bytes]:
    predictor: Predictor = request.app.state.predictor
    subject = parse_subject(form.subject)

    def job(check: Check) -> bytes:
        matte = predictor.matte(photo, subject=subject, fill_holes=form.fill_holes)
        check()
        picture = render(matte)
        check()
        return encode_image(picture, form.format)

    return job


async def _unless_gone(request: Request, job: Callable[[Check], bytes]) -> bytes:
    """The job's result; if the client leaves before, the job is dropped."""
    result = asyncio.ensure_future(request.app.state.gate.run(job))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({result, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise Problem(CLIENT_GONE, "the client left before its result was ready")
        return result.result()
    finally:
        result.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
