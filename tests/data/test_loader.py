"""Data sets, samplers and loaders."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ArgumentError, ShapeError
from thalweg.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)


def seeded(seed=0):
    return tw.Generator().manual_seed(seed)


def rows(n=10):
    return TensorDataset(tw.arange(n * 2).reshape(n, 2), tw.arange(n))


class Squares(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, k):
        return {"k": k, "square": float(k * k), "pair": (tw.tensor([k]), "name")}


def test_a_tensor_dataset_gives_rows_and_refuses_uneven_lengths():
    data = rows()
    x, y = data[3]
    assert x.tolist() == [6, 7]
    assert y.item() == 3
    with pytest.raises(AssertionError, match="equal length"):
        TensorDataset(tw.zeros(2), tw.zeros(3))
    with pytest.raises(ShapeError):
        TensorDataset()


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 4, 2]), (True, [4, 4])])
def test_batches_cover_the_rows_in_order(drop_last, sizes):
    loader = DataLoader(rows(), batch_size=4, drop_last=drop_last)
    assert len(loader) == len(sizes)
    batches = list(loader)
    assert [len(y) for _, y in batches] == sizes
    assert isinstance(batches[0], list)
    assert [k for _, y in batches for k in y.tolist()] == list(range(sum(sizes)))


def test_shuffling_is_a_permutation_reproduced_by_the_seed_and_new_in_each_pass():
    first, again = (DataLoader(rows(), 3, shuffle=True, generator=seeded(5)) for _ in range(2))
    passes = [[y.tolist() for _, y in loader] for loader in (first, again, first)]
    assert passes[0] == passes[1] != passes[2]
    assert sorted(k for batch in passes[0] for k in batch) == list(range(10))
    tw.manual_seed(3)
    one = [y.tolist() for _, y in DataLoader(rows(), 3, shuffle=True)]
    tw.manual_seed(3)
    assert one == [y.tolist() for _, y in DataLoader(rows(), 3, shuffle=True)]


def test_a_batch_at_once_equals_row_by_row():
    data = rows()
    slow = DataLoader(data, 4, collate_fn=lambda items: [tw.stack(part) for part in zip(*items, strict=True)])
    for a, b in zip(DataLoader(data, 4), slow, strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))


def test_a_subset_of_a_subset_is_read_at_once_too():
    part = Subset(Subset(rows(), [9, 8, 7, 6]), [0, 2])
    ((_, y),) = DataLoader(part, 2)
    assert y.tolist() == [9, 7]


def test_a_subclass_that_changes_the_items_is_asked_for_each():
    class Doubled(TensorDataset):
        def __getitem__(self, k):
            return tuple(2 * t for t in super().__getitem__(k))

    ((x,),) = DataLoader(Doubled(tw.arange(3)), 3)
    assert x.tolist() == [0, 2, 4]


def test_items_of_any_kind_are_collated():
    batch = next(iter(DataLoader(Squares(), batch_size=3)))
    assert batch["k"].tolist() == [0, 1, 2]
    assert batch["square"].dtype is tw.float64
    assert batch["pair"][0].shape == (3, 1)
    assert batch["pair"][1] == ("name",) * 3
    assert [item["k"] for item in DataLoader(Squares(), batch_size=None)] == list(range(7))


def test_samplers():
    source = range(6)
    assert list(SequentialSampler(source)) == list(range(6))
    assert sorted(RandomSampler(source, generator=seeded())) == list(range(6))
    more = list(RandomSampler(source, num_samples=9, generator=seeded()))
    assert sorted(more[:6]) == list(range(6))
    assert len(more) == 9
    drawn = list(RandomSampler(source, replacement=True, num_samples=600, generator=seeded()))
    assert set(drawn) == set(range(6))
    assert max(np.bincount(drawn)) < 150
    assert sorted(SubsetRandomSampler([2, 4, 9], generator=seeded())) == [2, 4, 9]
    assert list(BatchSampler(iter([3, 1, 2]), 2, False)) == [[3, 1], [2]]
    loader = DataLoader(rows(), batch_sampler=[[0, 1], [9]])
    assert [y.tolist() for _, y in loader] == [[0, 1], [9]]
    loader = DataLoader(rows(), 2, sampler=[5, 4, 3])
    assert [y.tolist() for _, y in loader] == [[5, 4], [3]]


def test_weights_decide_how_often():
    drawn = list(WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=seeded()))
    counts = np.bincount(drawn, minlength=3) / 4000
    np.testing.assert_allclose(counts, [0, 0.25, 0.75], atol=0.03)
    first = [WeightedRandomSampler([1.0, 3.0], 1, False, seeded(k)).order()[0] for k in range(2000)]
    np.testing.assert_allclose(np.mean(first), 0.75, atol=0.03)
    assert sorted(WeightedRandomSampler([1.0, 0.0, 2.0], 2, replacement=False, generator=seeded())) == [0, 2]
    with pytest.raises(RuntimeError, match="at most 2"):
        WeightedRandomSampler([1.0, 0.0, 2.0], 3, replacement=False).order()


def test_parts_are_disjoint_and_complete():
    parts = random_split(rows(), [0.5, 0.25, 0.25], seeded())
    assert [len(p) for p in parts] == [6, 2, 2]
    assert sorted(k for p in parts for k in p.indices) == list(range(10))
    assert [len(p) for p in random_split(rows(), [7, 3], seeded())] == [7, 3]
    with pytest.raises(ValueError, match="sum to 10"):
        random_split(rows(), [7, 2])
    with pytest.warns(UserWarning, match="part 1 is empty"):
        random_split(rows(1), [0.9, 0.1])


def test_data_sets_one_after_the_other():
    both = rows(3) + rows(2)
    assert isinstance(both, ConcatDataset)
    assert [y.item() for _, y in both] == [0, 1, 2, 0, 1]
    assert both[-1][1].item() == 1
    assert len(DataLoader(both, 2)) == 3
    assert [y.tolist() for _, y in DataLoader(both, 2)] == [[0, 1], [2, 0], [1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shuffle": True, "sampler": [0]}, "either a sampler or shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "none of batch_size"),
        ({"batch_size": None, "drop_last": True}, "needs a batch_size"),
        ({"batch_size": 0}, "> 0"),
        ({"num_workers": 2}, "num_workers must be 0"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        DataLoader(rows(), **arguments)


@pytest.mark.conformance
def test_the_same_arguments_are_refused_as_by_pytorch():
    torch = pytest.importorskip("torch")
    data = torch.utils.data
    theirs = data.TensorDataset(torch.arange(10))
    for arguments in (
        {"shuffle": True, "sampler": [0]},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_size": None, "drop_last": True},
        {"batch_size": 0},
    ):
        with pytest.raises(ValueError):
            data.DataLoader(theirs, **arguments)
    lengths = [len(p) for p in data.random_split(theirs, [0.55, 0.25, 0.2])]
    assert [len(p) for p in random_split(rows(), [0.55, 0.25, 0.2])] == lengths
    for ours, other in ((DataLoader(rows(), 4), data.DataLoader(theirs, 4)),):
        assert len(ours) == len(other)
