"""Recipes in TOML: found by name or path, overridden from the command line, and checked key by key.

``[image]``, ``[video]``, ``[toy]``, ``[loss]`` and ``[optimiser]`` at the top hold for every stage; a stage's own
tables of these names change what they name and nothing else.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, asdict, fields, is_dataclass
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import tomli

from sam2_core.config import PRESETS
from sam2_core.errors import Sam2Error
from sam2_core.training.recipe import Kind, Recipe, Show, Span, Stage

T = TypeVar("T")
Table = dict[str, Any]

_SHARED = ("toy", "image", "video", "loss", "optimiser")
_SUFFIX = ".toml"
_INDIFFERENT = ("device", "precision", "workers", "cache", "save", "report", "preview", "store")
"""Keys about where and how a run computes, and what it writes."""
_LARGEST_FILE = 1024 * 1024
_LONGEST = 10_000
"""Of a clip, in frames."""
_VIDEOS = (Kind.DAVIS, Kind.SAV)


def recipe_names() -> tuple[str, ...]:
    """The recipes that are part of this package."""
    folder = resources.files("sam2_core.training") / "recipes"
    return tuple(sorted(each.name.removesuffix(_SUFFIX) for each in folder.iterdir() if each.name.endswith(_SUFFIX)))


def read_recipe(name: str, changes: Iterable[str] = ()) -> Recipe:
    """A recipe by the name of one of the package's or by the path of a TOML file.

    Args:
        name: such as ``pocket`` or ``my.toml``.
        changes: ``KEY=VALUE`` each, with a dotted key and a TOML value; a text needs no quotes.

    Raises:
        Sam2Error: there is no such recipe, it is not TOML, or a key or value is not one of a recipe's.
    """
    table = _parse(_text(name), name)
    for change in changes:
        _apply(table, change)
    _check_keys(table)
    _check_shared(table)
    recipe = _build(Recipe, _inherit(table), "")
    _check(recipe)
    return recipe


def recipe_facts(recipe: Recipe) -> dict[str, str]:
    """All of a recipe that decides what comes out, by dotted key; a run goes on only with the same."""
    table = {key: value for key, value in asdict(recipe).items() if key not in _INDIFFERENT}
    stages = {stage.pop("name"): stage for stage in table.pop("stages")}
    sources = {f"data[{index}]": source for index, source in enumerate(table.pop("data"))}
    return dict(_flat({**table, **sources, **stages}, ""))


def _flat(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{place}.{key}" if place else key)
    else:
        yield place, str(value.value if isinstance(value, Enum) else value)


def _check_keys(table: Table) -> None:
    known = list(Recipe.__dataclass_fields__)
    stages = table.get("stages")
    names = [str(stage.get("name")) for stage in stages if isinstance(stage, dict)] if isinstance(stages, list) else []
    for key in table:
        if key not in known and key not in _SHARED:
            raise Sam2Error(
                f"a recipe has no {key}; it has {', '.join(known)}, and for all stages {', '.join(_SHARED)}. "
                f"Stages have keys of their own: {', '.join(f'{name}.steps' for name in names)}."
            )


def _check_shared(table: Table) -> None:
    """What is said for all stages is named as it stands in the file, not as a key of the first stage."""
    kinds = get_type_hints(Stage)
    for key in _SHARED:
        if key in table:
            _build(kinds[key], table[key], key)


def _text(name: str) -> str:
    if name in recipe_names():
        return (resources.files("sam2_core.training") / "recipes" / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    path = Path(name)
    if not path.is_file():
        raise Sam2Error(
            f"there is no recipe {name!r}; expected one of {', '.join(recipe_names())}, or the path of a TOML file."
        )
    if path.stat().st_size > _LARGEST_FILE:
        raise Sam2Error(f"{path.name!r} has more than a megabyte; a recipe is a page of TOML.")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Sam2Error(f"{path.name!r} cannot be read as text ({error}); a recipe is TOML in UTF-8.") from error


def _parse(text: str, name: str) -> Table:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise Sam2Error(f"{Path(name).name!r} is no TOML: {error}.") from error


def _apply(table: Table, change: str) -> None:
    """One ``--set``. What is set at the top holds for all stages; ``NAME.KEY`` sets it in the stage of that name."""
    key, separator, text = change.partition("=")
    path = key.strip().split(".")
    if not separator or not all(path):
        raise Sam2Error(f"--set takes KEY=VALUE, such as video.frames=8; got {change!r}.")
    try:
        value = tomli.loads(f"value = {text}")["value"]
    except tomli.TOMLDecodeError:
        value = text.strip()
    stages = [stage for stage in table.get("stages", []) if isinstance(stage, dict)]
    named = next((stage for stage in stages if stage.get("name") == path[0]), None)
    if named is not None and len(path) > 1:
        _put(named, path[1:], value)
        return
    _put(table, path, value)
    for stage in stages if path[0] in _SHARED else ():
        _drop(stage, path)


def _put(table: Table, path: list[str], value: object) -> None:
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise Sam2Error(f"--set {'.'.join(path)}: {part} is a value and has no {path[-1]} in it.")
    table[path[-1]] = value


def _drop(table: object, path: list[str]) -> None:
    """Forget what a stage says of its own about ``path``."""
    for part in path[:-1]:
        table = table.get(part) if isinstance(table, dict) else None
    if isinstance(table, dict):
        table.pop(path[-1], None)


def _inherit(table: Table) -> Table:
    """The same with every stage complete."""
    result = {key: value for key, value in table.items() if key not in _SHARED}
    shared = {key: value for key, value in table.items() if key in _SHARED}
    if isinstance(stages := table.get("stages"), list):
        result["stages"] = [_merge(shared, each) if isinstance(each, dict) else each for each in stages]
    return result


def _merge(below: Table, above: Table) -> Table:
    merged = copy.deepcopy(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _build(kind: type[T], table: object, place: str) -> T:
    """A dataclass from a table, field by field."""
    if not isinstance(table, dict):
        raise Sam2Error(f"{place or 'a recipe'} should be a table of keys and values; it is {table!r:.60}.")
    hints = get_type_hints(kind, include_extras=True)
    known = {each.name: each for each in fields(cast(Any, kind))}
    prefix = f"{place}." if place else ""
    for key in table:
        if key not in known:
            raise Sam2Error(f"a recipe has no {prefix}{key}; known in {place or 'a recipe'} are {', '.join(known)}.")
    needed = [n for n, each in known.items() if each.default is MISSING and each.default_factory is MISSING]
    missing = [name for name in needed if name not in table]
    if missing:
        raise Sam2Error(f"{place or 'the recipe'} says nothing about {', '.join(missing)}, which it has to.")
    return kind(**{key: _value(hints[key], value, f"{prefix}{key}") for key, value in table.items()})


def _value(kind: Any, value: object, place: str) -> Any:
    """A TOML value as the type of a field."""
    if get_origin(kind) is Annotated:
        return _within(get_args(kind), value, place)
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if kind is Span:
        return _span(value, place)
    if is_dataclass(kind):
        return _build(cast(type, kind), value, place)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _choice(kind, value, place)
    if get_origin(kind) is tuple:
        return _items(get_args(kind), value, place)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise Sam2Error(f"{place} should be {_NOUNS[kind]}; it is {value!r:.60}.")
    return value


def _within(kind: tuple[Any, ...], value: object, place: str) -> Any:
    plain, limits = kind
    number = _value(plain, value, place)
    if number not in limits:
        raise Sam2Error(f"{place} should be {limits}; it is {number:g}.")
    return number


def _span(value: object, place: str) -> Span:
    ends: list[Any] = value if isinstance(value, list) else [value, value]
    if len(ends) != 2 or any(type(end) is not int for end in ends) or not 0 <= ends[0] <= ends[1] <= _LONGEST:
        raise Sam2Error(
            f"{place} should be a whole number, or the lowest and highest of some, up to {_LONGEST:,}; "
            f"it is {value!r:.60}."
        )
    return Span(ends[0], ends[1])


def _choice(kind: type[Enum], value: object, place: str) -> Enum:
    for each in kind:
        if value == each.value:
            return each
    raise Sam2Error(f"{place} should be one of {', '.join(str(each.value) for each in kind)}; it is {value!r:.60}.")


def _items(kinds: tuple[Any, ...], value: object, place: str) -> tuple[Any, ...]:
    endless = kinds[-1] is Ellipsis
    if not isinstance(value, list) or not (endless or len(value) == len(kinds)):
        raise Sam2Error(f"{place} should be a list{'' if endless else f' of {len(kinds)}'}; it is {value!r:.60}.")
    each = [kinds[0]] * len(value) if endless else kinds
    places = [_name(item, f"{place}[{index}]") for index, item in enumerate(value)]
    return tuple(_value(*parts) for parts in zip(each, value, places, strict=True))


def _name(item: object, place: str) -> str:
    """A stage is called by its name."""
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else place


_NOUNS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _check(recipe: Recipe) -> None:
    """What types cannot say."""
    if recipe.model not in PRESETS:
        raise Sam2Error(f"model should be one of {', '.join(PRESETS)}; it is {recipe.model!r:.60}.")
    if recipe.image_size % 32:
        raise Sam2Error(f"image_size should be a multiple of 32; it is {recipe.image_size}.")
    if not recipe.stages:
        raise Sam2Error("a recipe needs at least one of [[stages]].")
    names = [stage.name for stage in recipe.stages]
    if len(set(names)) < len(names) or set(names) & {*_SHARED, *Recipe.__dataclass_fields__}:
        raise Sam2Error(f"stages need names of their own, none of which is a key; they are {', '.join(names)}.")
    for place, value, good, expected in _bounds(recipe):
        if not good:
            raise Sam2Error(f"{place} should be {expected}; it is {value}.")


def _bounds(recipe: Recipe) -> Iterable[tuple[str, object, bool, str]]:
    kinds = {source.kind for source in recipe.data}
    for source in recipe.data:
        yield f"the weight of {source.path}", source.weight, source.weight > 0, "above zero"
    for stage in recipe.stages:
        where = stage.name
        video, show = stage.video, stage.show
        yield f"{where}.optimiser.rate", stage.optimiser.rate, stage.optimiser.rate > 0, "above zero"
        yield f"{where}.show", [each.value for each in show], bool(show), "a list of toy, image and video"
        yield f"{where}.loss.stride", stage.loss.stride, stage.loss.stride in (1, 2, 4), "1, 2 or 4"
        low, high = stage.loss.fade
        yield f"{where}.loss.fade", [low, high], low < high, "two shares of the stage, the lower one first"
        yield f"{where}.video.frames", video.frames.low, video.frames.low >= 2, "2 or more"
        yield f"{where}.video.prompts.frames", video.prompts.frames.low, video.prompts.frames.low >= 1, "1 or more"
        for key, batches in (("image", stage.image), ("video", stage.video)):
            for what, chances in (("prompts.clicks", batches.prompts.clicks), ("augment.paste", batches.augment.paste)):
                fine = abs(sum(chances) - 1) < 1e-6
                yield f"{where}.{key}.{what}", list(chances), fine, "chances that add up to 1"
        pictures = bool(kinds - set(_VIDEOS))
        needs_pictures = Show.IMAGE in show or (Show.VIDEO in show and video.real < 1)
        wanted = 'pictures (images or coco), too; videos alone do for show = ["video"] with video.real = 1'
        yield f"the data of stage {where}", "none", pictures or not needs_pictures, wanted
        needs_videos = Show.VIDEO in show and video.real > 0
        yield f"the data of stage {where}", "none", bool(kinds & set(_VIDEOS)) or not needs_videos, "videos, too"
