"""Data sets, samplers and loaders."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ArgumentError, ShapeError
from thalweg.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_convert,
    get_worker_info,
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
        ({"num_workers": -1}, "num_workers must be an integer >= 0"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        DataLoader(rows(), **arguments)


class Counting(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


class Sized(Counting):
    def __len__(self):
        return self.n


@pytest.mark.parametrize(
    ("arguments", "batches"),
    [
        ({"batch_size": 2}, [[0, 1], [2, 3], [4]]),
        ({"batch_size": 2, "drop_last": True}, [[0, 1], [2, 3]]),
        ({"batch_size": 5, "num_workers": 2, "pin_memory": True, "persistent_workers": True}, [[0, 1, 2, 3, 4]]),
        ({"batch_size": None}, [0, 1, 2, 3, 4]),
        ({"batch_size": 3, "collate_fn": sum}, [3, 7]),
    ],
)
def test_a_data_set_with_its_own_order_is_read_through(arguments, batches):
    loader = DataLoader(Sized(5), **arguments)
    for _ in range(2):
        assert [b.tolist() if isinstance(b, tw.Tensor) else b for b in loader] == batches
    assert len(loader) == len(batches)


def test_a_data_set_with_its_own_order_takes_no_other():
    for arguments in ({"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}):
        with pytest.raises(ValueError, match=f"leave out {next(iter(arguments))}"):
            DataLoader(Counting(3), **arguments)
    with pytest.raises(TypeError):
        len(DataLoader(Counting(3)))
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(IterableDataset())


def test_data_sets_with_their_own_order_one_after_the_other():
    assert list(Counting(2) + Counting(3)) == [0, 1, 0, 1, 2]
    assert len(Sized(2) + Sized(3)) == 5
    with pytest.raises(AssertionError, match="IterableDatasets are required, got list"):
        list(ChainDataset([Counting(1), [1]]))


def test_data_sets_side_by_side():
    both = StackDataset(rows(3), ["a", "b", "c"])
    assert len(both) == 3
    assert both[1][1] == "b"
    assert StackDataset(k=[1, 2], v=[3, 4])[1] == {"k": 2, "v": 4}
    for args, named in (((), {}), (([1], [1, 2]), {}), (([1],), {"x": [1]})):
        with pytest.raises(ValueError, match="StackDataset: "):
            StackDataset(*args, **named)


def test_items_without_batches_have_their_arrays_as_tensors():
    found = list(DataLoader([np.ones(2), {"a": np.float32(2)}, (1, np.zeros(1), "x")], batch_size=None))
    assert found[0].dtype is tw.float64
    assert found[1]["a"].item() == 2
    assert found[2][0] == 1
    assert found[2][1].tolist() == [0.0]
    assert found[2][2] == "x"
    assert default_convert(np.str_("a")) == "a"
    assert get_worker_info() is None


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
