"""`/v1`: photos in, images out, one request each."""

import asyncio
from contextlib import suppress
from functools import lru_cache, partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response, UploadFile
from pydantic import AfterValidator, BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from jointmat import __version__
from jointmat.backgrounds import DRAWN, draw
from jointmat.compositing import parse_color
from jointmat.errors import InputError
from jointmat.io.write import encode_image
from jointmat.serve.jobs import Cut, Plane, Scene, composite, one_plane
from jointmat.serve.limits import Limits
from jointmat.serve.memory import Answer
from jointmat.serve.problems import CLIENT_GONE, MEDIA_TYPE, RESPONSES, Problem
from jointmat.serve.sizes import pixels_of
from jointmat.serve.uploads import UploadRoute, received
from jointmat.serve.worker import Job, Result
from jointmat.subject import parse_subject

_BACKGROUND_SIZE = 960, 1280
MULTIPART = Form(media_type="multipart/form-data")
_LOSSLESS = "image/png", "image/webp"
MEDIA = {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg"}


def _checked_subject(text: str) -> str:
    try:
        parse_subject(text)
    except InputError as error:
        raise ValueError(f"got {text[:100]!r}, expected all, largest or x,y such as 320,240") from error
    return text


def _checked_background(text: str) -> str:
    if text not in (*DRAWN, "blur"):
        _checked_color(text)
    return text


def _checked_color(text: str) -> str:
    """A colour as it is, or hex digits without their #."""
    for color in (text, f"#{text}"):
        with suppress(InputError):
            parse_color(color)
            return color
    names = ", ".join(DRAWN)
    raise ValueError(f"got {text[:100]!r}, expected one of {names}, blur, a colour name, or #rrggbb")


SubjectText = Annotated[
    str,
    Field(
        description="Which of several people: `all`, the `largest`, or the one at `x,y` in pixels.",
        json_schema_extra={"pattern": r"^(all|largest|[0-9]{1,6},[0-9]{1,6})$"},
    ),
    AfterValidator(_checked_subject),
]


BackgroundColor = Annotated[
    str,
    Field(json_schema_extra={"pattern": "^#?([0-9a-fA-F]{3}){1,2}$"}),
    AfterValidator(_checked_color),
]


class SubjectForm(BaseModel, extra="forbid"):
    """What of a photo is the subject."""

    subject: SubjectText = "all"
    fill_holes: bool = Field(False, description="Make opaque what the subject surrounds.")
    trimap: UploadFile | SkipJsonSchema[None] = Field(
        None,
        description="A grey image of the photo's size, instead of the predicted trimap: dark background, grey "
        "unknown, bright foreground. Without `subject` and `fill_holes`.",
    )


class PhotoForm(SubjectForm):
    """A photo."""

    image: UploadFile = Field(description="The photo: JPEG, PNG, WebP, BMP, TIFF, GIF or PPM.")


class Photo(PhotoForm):
    """A photo, and the format of the answer."""

    format: Literal["png", "webp"] = Field("png", description="File format; both are lossless.")


class Placing(Photo):
    """A photo and where its subject goes."""

    format: Literal["png", "webp", "jpg"] = Field("png", description="File format; jpg has quality 95.")  # type: ignore[assignment]
    background: Annotated[str, AfterValidator(_checked_background)] | SkipJsonSchema[None] = Field(
        None,
        description=f"One of {', '.join(DRAWN)}; `blur` for the photo itself, out of focus; or a colour as "
        "`#rrggbb` or by its CSS name.",
        json_schema_extra={"pattern": rf"^({'|'.join(DRAWN)}|blur|#([0-9a-fA-F]{{3}}){{1,2}})$"},
    )
    background_image: UploadFile | SkipJsonSchema[None] = Field(
        None, description="An image, instead of `background`."
    )
    fit: Literal["fill", "fit"] = Field(
        "fill", description="`fill` crops a background image to the photo's shape, `fit` shows all of it."
    )
    light: Literal["srgb", "linear"] = Field(
        "srgb", description="Mix stored levels, as image editors do, or light, as a lens does."
    )


class Info(BaseModel):
    """Version, models and limits of the server."""

    version: str
    max_bytes: int = Field(description="Largest request body.")
    max_pixels: int = Field(description="Largest photo or background.")
    backgrounds: list[str] = Field(description="Names of the drawn backgrounds.")
    keep_seconds: float = Field(description="How long a photo is kept after it was last used.")


api = APIRouter(prefix="/v1", tags=["images"])
uploads = APIRouter(prefix="/v1", tags=["images"], route_class=UploadRoute)

_FACTS = {
    "X-Coverage": {
        "description": "Share of the photo that the subject takes, from 0 to 1.",
        "schema": {"type": "number"},
    },
    "X-Is-Empty": {"description": "`true` if nobody was found.", "schema": {"type": "string"}},
}


def image_of(summary: str, what: str, *media: str) -> dict[str, Any]:
    """OpenAPI responses of a route that answers with an image."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in media}
    return {
        "summary": summary,
        "responses": {200: {"description": what, "content": content, "headers": _FACTS}, **RESPONSES},
        "response_class": Response,
    }


@uploads.post("/alpha", **image_of("Alpha matte", "Grey: black background, white subject.", *_LOSSLESS))
async def alpha(request: Request, form: Annotated[Photo, MULTIPART]) -> Response:
    """The alpha matte: how much of each pixel is the subject."""
    return await _plane(request, form, "alpha")


@uploads.post(
    "/trimap",
    **image_of("Predicted trimap", "0 background, 128 unknown, 255 foreground.", *_LOSSLESS),
)
async def trimap(request: Request, form: Annotated[Photo, MULTIPART]) -> Response:
    """The network's own trimap: where it is sure, and where it looked closer."""
    return await _plane(request, form, "trimap")


@uploads.post("/cutout", **image_of("Cut-out", "RGBA with straight alpha.", *_LOSSLESS))
async def cutout(request: Request, form: Annotated[Photo, MULTIPART]) -> Response:
    """The subject alone, its colours cleaned of the old background."""
    return await _plane(request, form, "cutout")


@uploads.post("/composite", **image_of("Subject on a new background", "RGB.", *_LOSSLESS, "image/jpeg"))
async def on_background(request: Request, form: Annotated[Placing, MULTIPART]) -> Response:
    """The subject in front of another background: give `background` or `background_image`."""
    if (form.background is None) == (form.background_image is None):
        got = "neither" if form.background is None else "both"
        raise Problem(422, f"background: got {got} of background and background_image: send one of them")
    behind: str | bytes = form.background or b""
    if form.background_image is not None:
        behind = await received(form.background_image)
    scene = Scene(behind, form.fit, form.light)
    cut = await _cut(form)
    pixels = pixels_in(cut.image, behind)
    result = await result_of(request, partial(composite, cut=cut, scene=scene, format=form.format), pixels)
    return _image(result, "composite", form.format)


@api.get("/info", summary="Version, limits, backgrounds")
def info(request: Request) -> Info:
    """Version, limits, and the backgrounds there are."""
    limits: Limits = request.app.state.limits
    return Info(
        version=__version__,
        max_bytes=limits.body_bytes,
        max_pixels=limits.pixels,
        backgrounds=list(DRAWN),
        keep_seconds=limits.keep_seconds,
    )


@api.get(
    "/backgrounds/{name}",
    summary="A drawn background",
    responses={
        200: {"description": "It, at 1280×960.", "content": {"image/jpeg": {}}},
        404: {"description": "There is none of this name.", "content": {MEDIA_TYPE: {}}},
    },
    response_class=Response,
)
def background(name: str) -> Response:
    """A drawn background."""
    if name not in DRAWN:
        raise Problem(404, f"background: got {name[:100]!r}, expected one of {', '.join(DRAWN)}")
    return Response(_drawn(name), media_type="image/jpeg", headers={"Cache-Control": "max-age=86400"})


@lru_cache
def _drawn(name: str) -> bytes:
    return encode_image(draw(name, *_BACKGROUND_SIZE), "jpg")


async def result_of(request: Request, job: Job, pixels: int) -> Result:
    """A job's result; a job in line is dropped if the client leaves before."""
    result = asyncio.ensure_future(request.app.state.gate.run(job, pixels))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({result, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise Problem(CLIENT_GONE, "the client left before its result was ready")
        return result.result()
    finally:
        result.cancel()
        gone.cancel()


def fact_headers(result: Result) -> dict[str, str]:
    """What `_FACTS` describes."""
    return {
        "X-Coverage": f"{result.facts['coverage']:.4f}",
        "X-Is-Empty": str(result.facts["is_empty"]).lower(),
    }


def pixels_in(*images: str | bytes | None) -> int:
    """Pixels of all images together, as stated in their headers."""
    return sum(pixels_of(image) for image in images if isinstance(image, bytes))


async def _plane(request: Request, form: Photo, plane: Plane) -> Response:
    cut = await _cut(form)
    job = partial(one_plane, cut=cut, plane=plane, format=form.format)
    return _image(await result_of(request, job, pixels_in(cut.image)), plane, form.format)


async def _cut(form: Photo) -> Cut:
    trimap = None if form.trimap is None else await received(form.trimap)
    return Cut(await received(form.image), parse_subject(form.subject), form.fill_holes, trimap)


def _image(result: Result, name: str, format: str) -> Response:
    headers = {"Content-Disposition": f'inline; filename="{name}.{format}"', **fact_headers(result)}
    return Answer(result.files[name], media_type=MEDIA[format], headers=headers)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
