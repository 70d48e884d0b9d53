import math

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=10,
    importance=2,
    kind="find the bug",
    shows="both-bugs",
    hints=(
        "What does the wrong code return for a matrix whose entries are all equal? And for a matrix that is not "
        "symmetric?",
        "Count how many entries are at least as large as the right one. The count includes the right one itself and "
        "every tie, so the right one is found if the count is at most k.",
        "The right ones are the diagonal, (N,). For rows compare it as (N, 1), for columns as (1, N).",
        "`(similarity >= similarity.diagonal()[:, None]).sum(1)` counts in the rows.",
    ),
)
def recall_at_k(similarity, k):
    """Find the bugs: this function should return the recall at k of retrieval in both directions.

    An image finds its text if that text is among the k most similar ones in its row, and a text finds
    its image the same way in its column. In a tie, the right one comes last, so a model that gives all
    pairs the same number finds nothing by luck.

    * similarity (N, N): row i compares image i with every text; its own text is text i
    * k: 1 or more
    * returns: two numbers from 0 to 1, the shares of images and of texts that find their own
    """
    ### BEGIN SOLUTION
    own = similarity.diagonal()
    found = [(similarity >= own[:, None]).sum(1) <= k, (similarity >= own).sum(0) <= k]
    return found[0].double().mean().item(), found[1].double().mean().item()
    ### END SOLUTION


@recall_at_k.test("is 1 where every image is most like its own text, and counts what is found", points=1)
def _(recall_at_k):
    assert_close([float(share) for share in recall_at_k(torch.eye(4), 1)], [1.0, 1.0])
    similarity = torch.tensor([[3.0, 4.0, 9.0], [2.0, 5.0, 1.0], [1.0, 0.0, 8.0]])
    found = [float(share) for share in recall_at_k(similarity, 1)]
    assert_close(found, [2 / 3, 2 / 3], message="rows 1 and 2 find their text; columns 0 and 1 their image")


@recall_at_k.hidden("ranks rows and columns, for any k", points=2)
def _(recall_at_k, rng):
    for count in (5, 9, 12):
        similarity = torch.randn(count, count, generator=rng, dtype=torch.float64)
        similarity = similarity + 0.8 * torch.eye(count, dtype=torch.float64)
        similarity[:, 0] += 1.5  # a text that is near to every image, so that the two directions differ
        for k in (3, 1, 2, count):
            hits = [0, 0]
            for direction, table in enumerate((similarity.tolist(), similarity.mT.tolist())):
                for place, row in enumerate(table):
                    hits[direction] += sorted(row, reverse=True).index(row[place]) < k
            found = [float(share) for share in recall_at_k(similarity, k)]
            assert_close(found, [hit / count for hit in hits], message=f"for N={count} and k={k}")


@recall_at_k.hidden("does not count a tie as found", points=1)
def _(recall_at_k):
    similarity = torch.tensor([[2.0, 2.0, 2.0, 0.0], [1.0, 3.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [5.0, 5.0, 0.0, 4.0]])
    assert_close([float(share) for share in recall_at_k(similarity, 2)], [1 / 2, 1.0], message="with ties, k=2")
    similarity = torch.tensor([[2.0, 2.0, 0.0, 0.0], [1.0, 3.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 5.0, 0.0, 4.0]])
    assert_close([float(share) for share in recall_at_k(similarity, 1)], [1 / 4, 3 / 4], message="with two ties, k=1")
    assert_close([float(share) for share in recall_at_k(similarity, 2)], [1.0, 1.0], message="with two ties, k=2")
    for k in (1, 3):
        found = [float(share) for share in recall_at_k(torch.full((4, 4), 0.7), k)]
        assert_close(found, [0.0, 0.0], message=f"where all pairs are equally similar, with k={k}")


@recall_at_k.misconception(
    "You ranked the rows in both directions; a text looks through its column.", name="rows-in-both-directions"
)
def _(similarity, k):
    share = ((similarity >= similarity.diagonal()[:, None]).sum(1) <= k).double().mean().item()
    return share, share


@recall_at_k.misconception(
    "You compared the columns with the right entry of each row; compare each column with its own entry on the "
    "diagonal.",
    name="columns-against-rows",
)
def _(similarity, k):
    own = similarity.diagonal()[:, None]
    found = (similarity >= own).sum(1) <= k, (similarity >= own).sum(0) <= k
    return found[0].double().mean().item(), found[1].double().mean().item()


recall_at_k.mistake(
    "swapped-directions",
    "You returned the two directions in the wrong order: return the share of images first (rows), then the share of "
    "texts (columns).",
    replace="[(similarity >= own[:, None]).sum(1) <= k, (similarity >= own).sum(0) <= k]",
    by="(similarity >= own).sum(0) <= k, (similarity >= own[:, None]).sum(1) <= k",
)

recall_at_k.mistake(
    "fewer-than-k",
    "You required fewer than k; the right one counts itself, so it is found if at most k entries are as large.",
    replace="[(similarity >= own[:, None]).sum(1) <= k, (similarity >= own).sum(0) <= k]",
    by="(similarity >= own[:, None]).sum(1) < k, (similarity >= own).sum(0) < k",
)

recall_at_k.mistake(
    "k-others-first",
    "You let k others come first; together with the right one, that makes k + 1 places.",
    replace="[(similarity >= own[:, None]).sum(1) <= k, (similarity >= own).sum(0) <= k]",
    by="(similarity > own[:, None]).sum(1) <= k, (similarity > own).sum(0) <= k",
)

recall_at_k.mistake(
    "ties-found",
    "You counted ties as found. A model that gives every pair the same number would have a recall of 1, so let the "
    "right one come last in a tie.",
    replace="[(similarity >= own[:, None]).sum(1) <= k, (similarity >= own).sum(0) <= k]",
    by="(similarity > own[:, None]).sum(1) < k, (similarity > own).sum(0) < k",
)

recall_at_k.mistake(
    "only-the-first",
    "You looked only at the most similar one, whatever k is; look at the k most similar.",
    replace="[(similarity >= own[:, None]).sum(1) <= k, (similarity >= own).sum(0) <= k]",
    by="(similarity >= own[:, None]).sum(1) <= 1, (similarity >= own).sum(0) <= 1",
)


@recall_at_k.misconception(
    "You returned how many are found; a recall is their share, so divide by N.", name="count-not-share"
)
def _(similarity, k):
    own = similarity.diagonal()
    found = (similarity >= own[:, None]).sum(1) <= k, (similarity >= own).sum(0) <= k
    return found[0].sum().item(), found[1].sum().item()


@recall_at_k.misconception(
    "Both bugs are still there: the columns are compared with the right entries of the rows, and ties count as found.",
    name="both-bugs",
)
def _(similarity, k):
    right = similarity.diagonal()[:, None]
    ahead = similarity > right
    return (ahead.sum(1) < k).double().mean().item(), (ahead.sum(0) < k).double().mean().item()


@recall_at_k.also_correct
def _(similarity, k):
    count = len(similarity)
    shares = []
    for table in (similarity, similarity.mT):
        others = table.clone()
        others.fill_diagonal_(math.inf)  # the right one first, then the best of the others
        ranked = others.sort(dim=1, descending=True).values
        enough = ranked[:, k] < table.diagonal() if k < count else torch.ones(count, dtype=torch.bool)
        shares.append(float(enough.sum()) / count)
    return tuple(shares)


@recall_at_k.also_correct
def _(similarity, k):
    table = similarity.tolist()
    count = len(table)
    rows = [sum(other >= row[i] for other in row) <= k for i, row in enumerate(table)]
    columns = [sum(row[i] >= table[i][i] for row in table) <= k for i in range(count)]
    return [sum(rows) / count, sum(columns) / count]
