"""Videos made of drawn faces: frames and their times, faces followed, answers smoothed, broken files named."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.faces import Placed, Told, draw_scene

from mpafer.common.errors import DataError, MissingPackageError, OptionError
from mpafer.inference.predictor import Predictor
from mpafer.video.reading import Frame, Pace, read_frames
from mpafer.video.timeline import Timeline
from mpafer.video.tracks import PATIENCE, Smoother, Tracks, overlap
from mpafer.video.watching import watch
from mpafer.video.writing import VideoWriter

av = pytest.importorskip("av")
SIZE = 160, 96


def picture(number: int) -> Image.Image:
    """Red at the top, else as bright as its number says."""
    image = Image.new("RGB", SIZE, (number * 5,) * 3)
    image.paste((255, 0, 0), (0, 0, SIZE[0], 16))
    return image


def write_video(
    path: Path, times: Sequence[float], images: Sequence[Image.Image] = (), codec: str = "libx264", **options: Any
) -> Path:
    """A video with a frame at each of these seconds."""
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream(codec, rate=10, options={"g": "5"})
        stream.width, stream.height = images[0].size if images else SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_image(images[number] if images else picture(number))
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def steady(count: int, rate: float = 10) -> list[float]:
    return [number / rate for number in range(count)]


def brightness(frame: Frame) -> int:
    """The number that `picture` was given."""
    return round(float(np.asarray(frame.image)[-16:, -16:].mean()) / 5)


# --- frames


def test_frames_have_their_numbers_times_and_pictures(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", steady(20))
    frames = list(read_frames(str(video)))
    assert [frame.number for frame in frames] == list(range(20)) == [brightness(frame) for frame in frames]
    assert [frame.time for frame in frames] == pytest.approx(steady(20), abs=2e-3)
    assert {frame.name for frame in frames} == {str(video)} and frames[0].image.size == SIZE


def test_every_nth_so_many_a_second_and_the_first_seconds(tmp_path: Path) -> None:
    video = str(write_video(tmp_path / "a.mp4", steady(20)))

    def numbers(**pace: Any) -> list[int]:
        return [frame.number for frame in read_frames(video, Pace(**pace))]

    assert numbers(every=7) == [0, 7, 14]
    assert numbers(fps=2) == [0, 5, 10, 15]
    assert numbers(fps=100) == list(range(20))
    assert numbers(fps=5, seconds=1) == [0, 2, 4, 6, 8]
    with pytest.raises(OptionError, match="every is 1 or more"):
        Pace(every=0)


def test_a_rate_that_varies(tmp_path: Path) -> None:
    """Ten frames in the first second, two in the second, ten in the third: times are the frames' own."""
    times = [*steady(10), 1.0, 1.5, *(2 + time for time in steady(10))]
    video = str(write_video(tmp_path / "a.mkv", times))
    assert [frame.time for frame in read_frames(video)] == pytest.approx(times, abs=2e-3)
    chosen = [frame.time for frame in read_frames(video, Pace(fps=4))]
    assert chosen == pytest.approx([0, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.3, 2.5, 2.8], abs=2e-3)


@pytest.mark.parametrize(("matrix", "turn"), [((0, 1, -1, 0), 270), ((-1, 0, 0, -1), 180), ((0, -1, 1, 0), 90)])
def test_a_video_that_its_metadata_turn(tmp_path: Path, matrix: tuple[int, ...], turn: int) -> None:
    """As a telephone writes it: the track's matrix says how the frames are to be shown."""
    video = write_video(tmp_path / "a.mp4", steady(3))
    content = bytearray(video.read_bytes())
    place = content.index(b"tkhd") + 44  # version, times, track, duration, layer, volume before the matrix
    a, b, c, d = (value * 0x10000 for value in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    video.write_bytes(content)
    expected = np.asarray(picture(0).rotate(turn, expand=True)).astype(int)
    found = np.asarray(next(read_frames(str(video))).image).astype(int)
    assert found.shape == expected.shape and np.abs(found - expected).mean() < 12


# --- what is broken


def test_files_that_are_no_video_or_not_whole_say_so(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4", steady(40)).read_bytes()
    cases = {
        "cut.mp4": (whole[: len(whole) // 2], "cannot be read as a video: invalid data"),
        "junk.mp4": (b"hello" * 100, "cannot be read as a video"),
        "empty.mp4": (b"", "cannot be read as a video"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name} {message}"):
            next(read_frames(str(tmp_path / name)))
    with pytest.raises(DataError, match=r"none\.mp4 is not there"):
        next(read_frames(str(tmp_path / "none.mp4")))
    with av.open(str(tmp_path / "sound.mka"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(DataError, match=r"sound\.mka holds no pictures"):
        next(read_frames(str(tmp_path / "sound.mka")))


@pytest.mark.parametrize("form", ["mkv", "mp4"])
def test_of_a_video_that_is_cut_short_the_frames_that_are_there_are_read(tmp_path: Path, form: str) -> None:
    options = {"options": {"movflags": "+faststart"}} if form == "mp4" else {}
    noise = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (96, 160, 3), np.uint8)) for i in range(40)]
    video = write_video(tmp_path / f"a.{form}", steady(40), noise, **options)
    content = video.read_bytes()
    video.write_bytes(content[: len(content) * 6 // 10])
    read = []
    with pytest.raises(DataError, match=rf"a\.{form} is (cut short|damaged): "):
        for frame in read_frames(str(video)):
            read.append(frame)
    assert 10 <= len(read) < 40


def test_damage_in_the_middle_is_counted(tmp_path: Path) -> None:
    noise = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (96, 160, 3), np.uint8)) for i in range(40)]
    video = write_video(tmp_path / "a.mp4", steady(40), noise)
    content = bytearray(video.read_bytes())
    start = len(content) // 3
    content[start : start + 20_000] = np.random.default_rng(0).bytes(20_000)
    video.write_bytes(content)
    read = []
    with pytest.raises(DataError, match=r"a\.mp4 is damaged: \d+ of its parts cannot be read; \d+ frames were"):
        for frame in read_frames(str(video)):
            read.append(frame)
    assert 0 < len(read) < 40


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(OptionError, match=r"^camera:77: there is no such camera \(.*77: "):
        next(read_frames("camera:77"))


def test_without_pyav_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingPackageError, match=r'PyAV: pip install "mpafer\[video\]"'):
        next(read_frames(str(tmp_path / "a.mp4")))


# --- tracks and smoothing


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (20, 0, 30, 10)) == 0 == overlap((0, 0, 0, 0), (0, 0, 0, 0))


def test_faces_keep_their_numbers_while_they_overlap() -> None:
    def at(x: float) -> tuple[float, float, float, float]:
        return x, 0, x + 10, 10

    tracks = Tracks()
    assert tracks.follow([at(0), at(50)], 0.0) == [1, 2]
    assert tracks.follow([at(52), at(2)], 0.1) == [2, 1], "the order in a frame does not matter"
    assert tracks.follow([at(54)], 0.2) == [2]
    assert tracks.follow([at(2), at(90), at(54)], 0.1 + PATIENCE) == [1, 3, 2], "a face that was away for a moment"
    assert tracks.follow([at(2)], 5.0) == [4], "and one that was away for long"
    assert tracks.follow([at(3), at(6)], 5.1) == [4, 5], "the one that overlaps most is the same"


def test_smoothing_depends_on_time_and_not_on_the_rate() -> None:
    def after_a_second(rate: int) -> float:
        smoother = Smoother(0.5)
        smoother.smooth(1, 0.0, {"a": 1.0, "b": 0.0})
        for step in range(1, rate + 1):
            mean = smoother.smooth(1, step / rate, {"a": 0.0, "b": 1.0})
        assert sum(mean.values()) == pytest.approx(1)
        return mean["a"]

    assert after_a_second(2) == pytest.approx(math.exp(-2)) == pytest.approx(after_a_second(30))
    smoother = Smoother(0.0)
    smoother.smooth(1, 0.0, {"a": 1.0})
    assert smoother.smooth(1, 0.1, {"a": 0.25}) == {"a": 0.25}


# --- a predictor's answers to frames

LEFT, RIGHT = Placed("happiness", 38, 80, 10, 20), Placed("anger", 5, 80, 150, 20)


def frames_of(count: int) -> list[Frame]:
    return [Frame("clip", draw_scene(240, 120, [LEFT, RIGHT]), number, number / 10) for number in range(count)]


def test_faces_are_followed_through_a_video() -> None:
    boxes = [[LEFT.box, RIGHT.box], [RIGHT.box, LEFT.box], [], [RIGHT.box]]
    predictor = Predictor.drawn_faces(detector=Told(boxes), faces="all", device="cpu", batch_size=3)
    seen = list(watch(predictor, frames_of(4)))
    assert [each.frame.number for each in seen] == [0, 1, 2, 3]
    assert [each.numbers for each in seen] == [(1, 2), (2, 1), (), (2,)]
    labels = [dict(zip(each.numbers, (face.label for face in each.answer.faces), strict=True)) for each in seen]
    assert labels == [{1: "happiness", 2: "anger"}, {1: "happiness", 2: "anger"}, {}, {2: "anger"}]
    timeline = Timeline("clip")
    for each in seen:
        timeline.add(each)
    assert [row[:5] for row in timeline.summary()] == [
        ["face 1", 0.0, 0.1, 2, "happiness"],
        ["face 2", 0.0, 0.3, 3, "anger"],
    ]


def test_answers_to_a_damaged_video_come_before_the_message() -> None:
    def broken() -> Any:
        yield from frames_of(5)
        raise DataError("clip is damaged")

    predictor = Predictor.drawn_faces(faces="none", device="cpu", batch_size=3)
    answers, watched = [], watch(predictor, broken())
    with pytest.raises(DataError, match="clip is damaged"):
        for seen in watched:
            answers.append(seen.answer)
    assert len(answers) == 5


def test_smoothed_answers_and_live_ones() -> None:
    predictor = Predictor.drawn_faces(faces="none", device="cpu")
    happy, angry = (Frame("", face.draw(), number, float(number)) for number, face in enumerate((LEFT, RIGHT)))
    plain = [seen.answer.probabilities for seen in watch(predictor, [happy, angry])]
    smooth = [seen.answer for seen in watch(predictor, [happy, angry], smooth=2.0)]
    weight = 1 - math.exp(-0.5)
    mean = {name: (1 - weight) * plain[0][name] + weight * plain[1][name] for name in plain[0]}
    assert smooth[1].probabilities == pytest.approx(mean, abs=1e-6) and smooth[1].label == max(
        mean, key=mean.__getitem__
    )
    asked = []

    def camera() -> Any:
        for frame in (happy, angry):
            asked.append(frame.number)
            yield frame

    live = watch(predictor, camera(), live=True)
    next(live)
    assert asked == [0], "a live frame is answered before the next one is taken"


def test_an_annotated_video_keeps_the_times(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.5, 0.6]
    with VideoWriter(tmp_path / "out.mp4") as writer:
        for number, time in enumerate(times):
            writer.write(picture(number).resize((161, 97)), time)
    frames = list(read_frames(str(tmp_path / "out.mp4")))
    assert [frame.time for frame in frames] == pytest.approx(times, abs=2e-3) and frames[0].image.size == (162, 98)
    with VideoWriter(tmp_path / "none.mp4"):
        pass
    assert not (tmp_path / "none.mp4").exists()
