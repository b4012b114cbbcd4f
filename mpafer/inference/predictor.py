"""`Predictor`: what the command, the page, videos and the check of an export ask for an answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, overload

import torch

from mpafer.build import build_model
from mpafer.clip import Clip
from mpafer.common.devices import chosen_device
from mpafer.evaluation.predictions import refuse_nonfinite
from mpafer.faces.alignment import DEFAULT_TEMPLATE, Template
from mpafer.faces.detector import CENTERFACE, Detector
from mpafer.inference.answers import Answer, FaceAnswer, likeliest
from mpafer.inference.classifiers import Classifier, ModelClassifier, OnnxClassifier
from mpafer.inference.face_template import run_template
from mpafer.inference.kept import load
from mpafer.inference.looking import Look, Looker, check_mode
from mpafer.inference.pictures import Picture, Source, as_picture, is_single
from mpafer.inference.saved import load_run
from mpafer.prompting.model import FrozenClip

SHIPPED = Path(str(resources.files("mpafer.inference") / "assets" / "drawn_faces.safetensors"))
P = TypeVar("P", bound=Picture)


class Predictor:
    """Answers to pictures.

    predictor = Predictor("output/rafdb/MPAFER/vit_b16_all/seed1")
    answer = predictor("group.jpg")           # answer.faces, answer.label, answer.probabilities
    answers = predictor(["a.jpg", "b.jpg"])   # in batches

    Args:
        run: a run's output folder, a file of `mpafer.save`, or a model that `mpafer.build_model` or `mpafer.load` gave.
        faces: what of a picture is read. ``auto``: each face, or the whole picture where it is one face already or no
            face is found, and the answer says which; ``all``: each face; ``largest``: one face; ``none``: the whole.
        detector: finds the faces: centerface, the path of a YuNet file, or an object of your own.
        template: where eyes and mouth are brought to; default: where the run's training images have them, which is
            measured when the first face is found and kept in the run's folder, or `mpafer.faces`' own.
        batch_size: faces at a time.
        epoch, backbone, device, prec: of a run's folder, as `mpafer.load_run` has them; default device: a GPU where
            there is one.

    Raises:
        MissingFileError, CheckpointError, OptionError: as `mpafer.load_run`.
        MissingPackageError: faces have to be found, and the extra ``faces`` is not installed.
    """

    def __init__(
        self,
        run: str | Path | FrozenClip | Classifier,
        *,
        faces: str = "auto",
        detector: Detector | str = CENTERFACE,
        template: Template | None = None,
        batch_size: int = 32,
        epoch: int | None = None,
        backbone: str = "",
        device: str | torch.device = "",
        prec: str = "",
    ) -> None:
        folder = run if isinstance(run, (str, Path)) and Path(run).expanduser().is_dir() else ""
        if isinstance(run, (str, Path)):
            run = _model(run, epoch, backbone, chosen_device(str(device)), prec)
        self.classifier: Classifier = ModelClassifier(run) if isinstance(run, FrozenClip) else run
        self.faces, self.batch_size = check_mode(faces), batch_size
        where = partial(_template, template or self.classifier.template, folder, detector)
        self.looker = Looker(detector, where, self.classifier.size)

    @classmethod
    def zero_shot(cls, clip: Clip, classnames: Sequence[str], *, prec: str = "fp32", **options: Any) -> Predictor:
        """A predictor that learned nothing: CLIP itself, with one sentence a class.

        Args:
            clip: from `mpafer.load_clip`.
            classnames: C names.
            prec: precision of the towers.
            **options: of `Predictor`.
        """
        return cls(build_model("ZeroshotCLIP", clip, classnames, prec=prec), **options)

    @classmethod
    def drawn_faces(cls, **options: Any) -> Predictor:
        """The predictor that ships with the package: the tiny CLIP, prompts trained on drawn faces, and for those only.

        Args:
            **options: of `Predictor`.
        """
        return cls(SHIPPED, **options)

    @classmethod
    def from_onnx(cls, file: str | Path, **options: Any) -> Predictor:
        """A predictor of a file that `mpafer export` wrote; it needs onnxruntime, and CLIP's weights no more.

        Args:
            file: the ONNX file.
            **options: of `Predictor`.
        """
        return cls(OnnxClassifier(file), **options)

    @property
    def classnames(self) -> list[str]:
        """The classes, in the order of the labels."""
        return list(self.classifier.classnames)

    @overload
    def __call__(self, source: Source, *, faces: str = "") -> Answer: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, source: Iterable[Source], *, faces: str = "") -> list[Answer]: ...
    def __call__(self, source: Source | Iterable[Source], *, faces: str = "") -> Answer | list[Answer]:
        """The answer to a picture, or those to several, in their order.

        Args:
            source: a path, a PIL image, an array H x W or H x W x 3 (uint8, or decimals from 0 to 1), a tensor
                3 x H x W, or an iterable of them.
            faces: in place of the predictor's own.

        Raises:
            UnreadableImageError: a file that cannot be read.
            DataError: an array that is no picture, or a model's answer that is NaN or infinite.
        """
        if is_single(source):
            return next(self.stream([source], faces=faces))  # type: ignore[list-item]
        return list(self.stream(source, faces=faces))  # type: ignore[arg-type]

    def stream(self, sources: Iterable[Source], *, faces: str = "", batch_size: int = 0) -> Iterator[Answer]:
        """The answers one after the other; pictures are read when their turn comes, and encoded in batches.

        Args:
            sources, faces: as in a call.
            batch_size: in place of the predictor's own; with 1 no picture waits for the next, as a camera needs it.
        """
        mode, most = check_mode(faces) if faces else self.faces, batch_size or self.batch_size
        waiting: list[Look] = []
        for source in sources:
            waiting.append(self.looker.look(as_picture(source), mode))
            if max(len(waiting), sum(len(look.images) for look in waiting)) >= most:
                yield from self._answers(waiting)
                waiting = []
        yield from self._answers(waiting)

    def pairs(self, pictures: Iterable[P], *, faces: str = "", batch_size: int = 0) -> Iterator[tuple[P, Answer]]:
        """Each picture with the answer to it; arguments as those of `stream`."""
        waiting: deque[P] = deque()

        def noted() -> Iterator[P]:
            for picture in pictures:
                waiting.append(picture)
                yield picture

        for answer in self.stream(noted(), faces=faces, batch_size=batch_size):
            yield waiting.popleft(), answer

    def _answers(self, looks: Sequence[Look]) -> Iterator[Answer]:
        images = [self.classifier.transform(image) for look in looks for image in look.images]
        names = [look.name for look in looks for _ in look.images]
        rows: list[list[float]] = []
        for start in range(0, len(images), self.batch_size):
            probabilities = self.classifier.probabilities(torch.stack(images[start : start + self.batch_size]))
            refuse_nonfinite(probabilities, names[start:])
            rows += probabilities.tolist()
        left = iter(rows)
        for look in looks:
            yield self._answer(look, [next(left) for _ in look.images])

    def _answer(self, look: Look, rows: Sequence[Sequence[float]]) -> Answer:
        found = [dict(zip(self.classnames, row, strict=True)) for row in rows]
        best = [likeliest(each) for each in found]
        chosen = look.choice.faces
        places = zip(chosen.boxes.tolist(), chosen.landmarks.tolist(), chosen.scores.tolist(), strict=True)
        faces = tuple(
            FaceAnswer(label, each[label], each, tuple(box), tuple(map(tuple, landmarks)), score, marks)
            for (box, landmarks, score), marks, label, each in zip(
                places, look.choice.marks, best[: len(chosen)], found[: len(chosen)], strict=True
            )
        )
        label, first = (best[0], found[0]) if found else ("", {})
        note = self.classifier.note
        return Answer(look.name, label, first.get(label, 0.0), first, look.choice.why, faces, note)


def _model(run: str | Path, epoch: int | None, backbone: str, device: torch.device, prec: str) -> FrozenClip:
    """That of a run's folder, or of a file of `mpafer.save`."""
    if Path(run).expanduser().is_file():
        return load(run, backbone=backbone, device=device, prec=prec)
    return load_run(run, epoch=epoch, backbone=backbone, device=device, prec=prec)[0]


def _template(known: Template | None, folder: str | Path, detector: Detector | str) -> Template:
    """Where eyes and mouth are brought to: the template that is known, a run's, or a stated one."""
    if known:
        return known
    return run_template(folder, detector) if folder and isinstance(detector, str) else DEFAULT_TEMPLATE
