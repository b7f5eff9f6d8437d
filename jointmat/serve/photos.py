"""`/v1/photos`: a photo is sent once; its planes can be fetched, and corrected by a trimap or brush strokes."""

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.json_schema import SkipJsonSchema

from jointmat.serve.api import MULTIPART, PhotoForm, SubjectForm, pixels_in, result_of
from jointmat.serve.jobs import PLANES, Cut, all_planes, upright_photo
from jointmat.serve.kept import Kept, Photos
from jointmat.serve.limits import Limits
from jointmat.serve.memory import Answer
from jointmat.serve.problems import MEDIA_TYPE, RESPONSES, Problem
from jointmat.serve.strokes import Label, Stroke
from jointmat.serve.uploads import UploadRoute, received
from jointmat.subject import parse_subject

_MOST_STROKES = 500
_MOST_POINTS = 5000
_FARTHEST = 100_000  # pixels

Place = Annotated[float, Field(ge=-_FARTHEST, le=_FARTHEST)]


class StrokeModel(BaseModel, extra="forbid"):
    """A line drawn by a round brush, in pixels of the photo."""

    label: Label
    radius: float = Field(gt=0, le=2000)
    points: list[tuple[Place, Place]] = Field(min_length=1, max_length=_MOST_POINTS, description="(x, y)")


class CorrectionForm(SubjectForm):
    """Corrections. Without any field the photo is as it was at first."""

    strokes: str | SkipJsonSchema[None] = Field(
        None,
        description="JSON: a list of `{label: keep|remove|unsure, radius, points: [[x, y], …]}` in pixels, all "
        "that have been drawn so far, the last on top.",
    )


class PhotoFacts(BaseModel):
    """A photo that is kept."""

    id: str = Field(description="Whoever knows it can see the photo.")
    width: int
    height: int
    coverage: float = Field(description="Share of the photo that the subject takes, from 0 to 1.")
    is_empty: bool = Field(description="Nobody was found.")
    alpha: str = Field(description="Where its alpha is: GET it.")
    trimap: str
    cutout: str
    photo: str = Field(description="The photo, upright, as JPEG.")
    expires_in: float = Field(description="Seconds without use after which it is forgotten.")


photos = APIRouter(prefix="/v1/photos", tags=["kept photos"], route_class=UploadRoute)
_GONE: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is none of this name.", "content": {MEDIA_TYPE: {}}},
    422: RESPONSES[422],
}
_strokes = TypeAdapter(Annotated[list[StrokeModel], Field(max_length=_MOST_STROKES)])


@photos.post("", status_code=201, summary="Keep a photo", responses=RESPONSES)
async def keep(request: Request, form: Annotated[PhotoForm, MULTIPART]) -> PhotoFacts:
    """Make a photo's matte and keep both for some minutes in memory."""
    trimap = None if form.trimap is None else await received(form.trimap)
    photo = Kept(await received(form.image), parse_subject(form.subject), form.fill_holes)
    cut = Cut(photo.image, photo.subject, photo.fill_holes, trimap)
    photo.take(await result_of(request, partial(all_planes, cut=cut), pixels_in(cut.image)))
    return _facts(request, _photos(request).add(photo), photo)


@photos.get("/{id}", summary="A kept photo", responses=_GONE)
async def facts(request: Request, id: str) -> PhotoFacts:
    """Facts about a kept photo."""
    return _facts(request, id, _photos(request).get(id))


@photos.get(
    "/{id}/{plane}",
    summary="An image of a kept photo",
    responses={
        200: {"description": "PNG; the photo as JPEG.", "content": {"image/png": {}, "image/jpeg": {}}},
        **_GONE,
        **{status: RESPONSES[status] for status in (500, 503, 504)},
    },
    response_class=Response,
)
async def plane(request: Request, id: str, plane: Literal["alpha", "trimap", "cutout", "photo"]) -> Response:
    """Alpha, trimap or cut-out as PNG, or the photo, upright, as JPEG."""
    photo = _photos(request).get(id)
    if plane in PLANES:
        return Answer(photo.files[plane], media_type="image/png")
    result = await result_of(request, partial(upright_photo, image=photo.image), pixels_in(photo.image))
    return Answer(result.files["photo"], media_type="image/jpeg")


@photos.post("/{id}/corrections", summary="Correct a kept photo", responses={**RESPONSES, **_GONE})
async def correct(request: Request, id: str, form: Annotated[CorrectionForm, MULTIPART]) -> PhotoFacts:
    """Make the matte again: by strokes over the trimap, by another trimap, or of another subject."""
    photo = _photos(request).get(id)
    subject, strokes = parse_subject(form.subject), _parsed(form.strokes)
    trimap = None if form.trimap is None else await received(form.trimap)
    if trimap is None and strokes and (subject, form.fill_holes) == (photo.subject, photo.fill_holes):
        trimap = photo.files["base"]  # the network has seen this photo: one pass is enough
        cut = Cut(photo.image, trimap=trimap, strokes=strokes)
    else:
        cut = Cut(photo.image, subject, form.fill_holes, trimap, strokes)
    result = await result_of(request, partial(all_planes, cut=cut), pixels_in(photo.image))
    photo.subject, photo.fill_holes = subject, form.fill_holes
    return _facts(request, id, _photos(request).change(id, result))


@photos.delete("/{id}", status_code=204, summary="Forget a photo", responses=_GONE)
async def forget(request: Request, id: str) -> None:
    """Forget a photo and all that was made of it, now."""
    _photos(request).get(id)
    _photos(request).remove(id)


def _photos(request: Request) -> Photos:
    kept: Photos = request.app.state.photos
    return kept


def _facts(request: Request, id: str, photo: Kept) -> PhotoFacts:
    limits: Limits = request.app.state.limits
    places: dict[str, Any] = {name: f"/v1/photos/{id}/{name}" for name in (*PLANES, "photo")}
    return PhotoFacts(id=id, expires_in=limits.keep_seconds, **photo.facts, **places)


def _parsed(text: str | None) -> tuple[Stroke, ...]:
    if text is None:
        return ()
    try:
        strokes = _strokes.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise Problem(
            422, f"strokes{'.' if place else ''}{place}: {first['msg']}: see /docs for the form"
        ) from error
    return tuple(Stroke(stroke.label, stroke.radius, tuple(stroke.points)) for stroke in strokes)
