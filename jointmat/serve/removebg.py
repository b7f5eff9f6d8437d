"""`/v1.0/removebg`: for clients that were written for remove.bg's API."""

import base64
import binascii
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from jointmat.serve.api import MEDIA, MULTIPART, BackgroundColor, fact_headers, image_of, pixels_in, result_of
from jointmat.serve.jobs import Cut, Scene, resized
from jointmat.serve.memory import Answer
from jointmat.serve.problems import Problem
from jointmat.serve.uploads import UploadRoute, received

_MEGAPIXELS = {"preview": 0.25, "small": 0.25, "regular": 0.25, "medium": 1.5, "hd": 4.0, "4k": 10.0}


class RemoveBg(BaseModel, extra="forbid"):
    """remove.bg's common fields. A field that it has and that is not here is refused by its name."""

    image_file: UploadFile | SkipJsonSchema[None] = Field(None, description="The photo; or `image_file_b64`.")
    image_file_b64: str | SkipJsonSchema[None] = Field(None, description="The photo as base64.")
    size: Literal["preview", "small", "regular", "medium", "hd", "4k", "full", "auto"] = Field(
        "auto", description="Most megapixels of the answer: .25, 1.5, 4 or 10; `full` and `auto` as the photo."
    )
    type: Literal["auto", "person"] = Field("auto", description="What the subject is: people.")
    format: Literal["auto", "png", "jpg", "webp"] = Field("auto", description="`auto` is png.")
    channels: Literal["rgba", "alpha"] = "rgba"
    bg_color: BackgroundColor | SkipJsonSchema[None] = Field(
        None, description="A colour by its name or as hex digits, with or without #."
    )
    bg_image_file: UploadFile | SkipJsonSchema[None] = Field(None, description="An image as background.")
    crop: bool = Field(False, description="Crop to the subject.")


removebg = APIRouter(prefix="/v1.0", tags=["remove.bg"], route_class=UploadRoute)


@removebg.post("/removebg", **image_of("As remove.bg", "The cut-out, alpha or composite.", *MEDIA.values()))
async def remove_background(request: Request, form: Annotated[RemoveBg, MULTIPART]) -> Response:
    """The common fields of remove.bg's API; `X-Api-Key` is ignored. Errors are those of the other routes."""
    image = await _image(form)
    if form.bg_color and form.bg_image_file:
        raise Problem(422, "bg_color: got bg_image_file too: send one of them")
    behind: str | bytes | None = form.bg_color
    if form.bg_image_file is not None:
        behind = await received(form.bg_image_file)
    format = "png" if form.format == "auto" else form.format
    if format == "jpg" and behind is None and form.channels == "rgba":
        behind = "#ffffff"  # as remove.bg does
    scene = None if behind is None else Scene(behind)
    pixels = round(1e6 * _MEGAPIXELS[form.size]) if form.size in _MEGAPIXELS else None
    job = partial(
        resized,
        cut=Cut(image),
        scene=scene,
        alpha=form.channels == "alpha",
        crop=form.crop,
        pixels=pixels,
        format=format,
    )
    result = await result_of(request, job, pixels_in(image, behind))
    headers = {
        "X-Type": "person",
        "X-Width": str(result.facts["width"]),
        "X-Height": str(result.facts["height"]),
        **fact_headers(result),
        "X-Credits-Charged": "0",
    }
    if "application/json" in request.headers.get("Accept", ""):
        text = base64.b64encode(result.files["image"]).decode()
        return JSONResponse({"data": {"result_b64": text}}, headers=headers)
    return Answer(result.files["image"], media_type=MEDIA[format], headers=headers)


async def _image(form: RemoveBg) -> bytes:
    if (form.image_file is None) == (form.image_file_b64 is None):
        got = "neither" if form.image_file is None else "both"
        raise Problem(422, f"image_file: got {got} of image_file and image_file_b64: send one of them")
    if form.image_file is not None:
        return await received(form.image_file)
    try:
        return base64.b64decode(form.image_file_b64 or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(422, "image_file_b64: it is not base64: send the file as image_file") from error
