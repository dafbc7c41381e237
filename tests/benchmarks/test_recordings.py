"""The label tracks and the catalogue, without the sound: nothing is fetched."""

from collections import defaultdict
from itertools import pairwise

import pytest

from benchmarks.recordings import LABELS, labels, noises
from benchmarks.recordings.audio import LEAD
from benchmarks.recordings.catalogue import CLIPS, Clip
from benchmarks.recordings.packages import Source
from benchmarks.recordings.synthetic import PHRASES, voiced


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_labels_are_utterances_one_after_another_within_the_clip(clip: Clip) -> None:
    utterances = labels(clip.name)

    assert utterances
    times = [time for start, end, _ in utterances for time in (start, end)]
    assert times == sorted(times)
    assert times[0] >= LEAD
    assert clip.end is None or times[-1] <= LEAD + clip.end - clip.start
    assert all(text.strip() for _, _, text in utterances)


def test_every_label_track_has_its_clip() -> None:
    assert {path.stem for path in LABELS.iterdir()} == {clip.name for clip in CLIPS}


def test_names_are_unique() -> None:
    names = [*(clip.name for clip in CLIPS), *(phrase.name for phrase in PHRASES), *noises.MADE, *noises.RECORDED]

    assert len(names) == len(set(names))


def test_no_voice_is_in_both_splits() -> None:
    splits = defaultdict(set)
    for clip in CLIPS:
        splits[clip.speaker].add(clip.split)

    assert all(len(found) == 1 for found in splits.values())


def test_no_part_of_a_recording_is_in_two_clips() -> None:
    parts: dict[Source, list[tuple[float, float]]] = defaultdict(list)
    for clip in CLIPS:
        parts[clip.source].append((clip.start, clip.end or float("inf")))

    for taken in map(sorted, parts.values()):
        assert all(end <= start for (_, end), (start, _) in pairwise(taken))


def test_people_are_most_of_what_is_reported() -> None:
    people = [clip for clip in CLIPS if clip.split == "report" and clip.kind == "person"]

    assert len(people) >= 13
    assert sum(end - start for clip in people for start, end, _ in labels(clip.name)) >= 76


def test_flite_tells_where_speech_is() -> None:
    assert voiced("pau:0.136 s:0.233 t:0.280 aa:0.379 p:0.527 pau:0.687") == (0.136, 0.527)
