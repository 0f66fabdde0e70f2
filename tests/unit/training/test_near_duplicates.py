"""training/near_duplicates.py: copies of a photo are found by their hashes."""

from PIL import Image

from inference.perceptual_hash import MAX_HASH_DISTANCE, difference_hash
from inference.photo import open_photo
from tests.support.pictures import draw_pictures
from training.data import find_photos
from training.near_duplicates import duplicate_groups, near_duplicates


def test_copies_of_a_photo_have_nearly_the_same_hash_and_other_photos_have_not(tmp_path):
    for seed, color in enumerate(("blue", "orange")):
        draw_pictures(tmp_path / color, 14, color, seed)
    paths = sorted(tmp_path.glob("*/*.jpg"))
    with Image.open(paths[0]) as image:
        image.resize((150, 110)).save(tmp_path / "copy.jpg", quality=60)
    hashes = [difference_hash(open_photo(path).image) for path in [*paths, tmp_path / "copy.jpg"]]
    assert list(near_duplicates(hashes)) == [(0, len(paths))]


def test_photos_of_two_species_are_no_near_duplicates(birds):
    photos, _ = find_photos(birds)
    some = [photo for photo in photos if photo.split == "test"]
    hashes = [difference_hash(open_photo(photo.path).image) for photo in some]
    assert [pair for pair in near_duplicates(hashes) if some[pair[0]].label != some[pair[1]].label] == []


def test_hashes_are_near_duplicates_up_to_a_distance():
    bits = [0, 2**MAX_HASH_DISTANCE - 1, 2 ** (MAX_HASH_DISTANCE + 1) - 1]
    assert list(near_duplicates(bits)) == [(0, 1), (1, 2)]
    assert list(near_duplicates([])) == []


def test_near_duplicates_of_near_duplicates_are_in_one_group_and_most_photos_are_alone():
    far = 2**64 - 1
    assert duplicate_groups([0, far, 0b1111, 0b11111111]) == [[0, 2, 3], [1]]
    assert duplicate_groups([]) == []
