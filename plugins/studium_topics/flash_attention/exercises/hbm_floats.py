import math

from studium import exercise


@exercise(
    points=3,
    minutes=12,
    importance=2,
    kind="derive",
    hints=(
        "How often does each number of q, k, v and o cross in tiled attention? Two of the four cross once.",
        "Standard attention: list the inputs and the output of each of the three kernels, and add up their sizes.",
        "Tiled attention: all of k and v cross once for each block of q, including the smaller last block. How many "
        "blocks of q are there?",
        "Blocks are whole: `-(-length // block)` rounds up.",
    ),
)
def hbm_floats(length, width, sram):
    """Return how many numbers cross between slow and fast memory in standard and in tiled attention.

    Standard attention runs three kernels: S = q kᵀ / √d, P = softmax(S), o = P v. Each reads its
    inputs and writes its output once. In tiled attention four blocks fit into the fast memory, each
    with as many rows as possible (1 to `length`). Each block of q is read once and all of k and v
    stream past it; o and one lse for each row are written once.

    * length, width: q, k, v and o are (length, width)
    * sram: size of the fast memory, in numbers
    * returns: (standard, tiled), two ints
    """
    ### BEGIN SOLUTION
    matrix, scores = length * width, length * length
    standard = (2 * matrix + scores) + 2 * scores + (scores + 2 * matrix)
    block = max(1, min(length, sram // (4 * width)))
    tiled = matrix + math.ceil(length / block) * 2 * matrix + matrix + length
    return standard, tiled
    ### END SOLUTION


@hbm_floats.test("counts a small case right", points=1)
def _(hbm_floats):
    standard, tiled = hbm_floats(10, 2, 16)
    assert standard == 480, f"10 tokens of width 2: 40 + 100, 100 + 100, 100 + 40 = 480 numbers, got {standard}"
    assert tiled == 250, f"5 blocks: 20 of q, 5 · 40 of k and v, 20 of o, 10 of lse = 250 numbers, got {tiled}"


@hbm_floats.hidden("counts every size, from one block for all to one row a block", points=2)
def _(hbm_floats):
    known = [
        ((4096, 64, 8192), (68_157_440, 67_637_248)),
        ((4096, 64, 65536), (68_157_440, 8_916_992)),
        ((1024, 64, 100_000), (4_456_448, 525_312)),
        ((100, 3, 100), (41_200, 8_500)),
        ((100, 3, 1200), (41_200, 1_300)),
        ((100, 3, 1_000_000), (41_200, 1_300)),
        ((50, 7, 20), (11_400, 35_750)),
        ((1, 1, 1), (8, 5)),
    ]
    for sizes, expected in known:
        found = tuple(hbm_floats(*sizes))
        what = "length {}, width {} and a fast memory of {}".format(*sizes)
        assert found == expected, f"{what} give {expected}, got {found}"


@hbm_floats.misconception(
    "You counted S and P once each; one kernel writes each of them and the next one reads it again, which makes four "
    "times N² in total.",
    name="s-and-p-once-each",
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    blocks = -(-length // block)
    return 4 * length * width + 2 * length * length, 2 * length * width * (1 + blocks) + length


@hbm_floats.misconception(
    "You counted only S, written and read; count P = softmax(S) too, which is also written and read.", name="left-out-p"
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    blocks = -(-length // block)
    return 4 * length * width + 3 * length * length, 2 * length * width * (1 + blocks) + length


@hbm_floats.misconception(
    "You counted k and v as read once; the fast memory cannot keep them, so they stream past again for each block of "
    "q.",
    name="k-and-v-once",
)
def _(length, width, sram):
    return 4 * length * width + 4 * length * length, 4 * length * width + length


@hbm_floats.misconception("You counted bytes; count numbers, whatever their precision.", name="counted-bytes")
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    blocks = -(-length // block)
    return 4 * (4 * length * width + 4 * length * length), 4 * (2 * length * width * (1 + blocks) + length)


@hbm_floats.misconception(
    "You took `sram` as bytes and divided by 4 once more; it is a count of numbers. A block has ⌊sram / (4 width)⌋ "
    "rows.",
    name="sram-in-bytes",
)
def _(length, width, sram):
    block = max(1, min(length, sram // (16 * width)))
    blocks = -(-length // block)
    return 4 * length * width + 4 * length * length, 2 * length * width * (1 + blocks) + length


@hbm_floats.misconception(
    "You filled the fast memory with one block; four blocks have to fit, one each for q, k, v and o: ⌊sram / (4 "
    "width)⌋ rows each.",
    name="one-block-fills-the-memory",
)
def _(length, width, sram):
    block = max(1, min(length, sram // width))
    blocks = -(-length // block)
    return 4 * length * width + 4 * length * length, 2 * length * width * (1 + blocks) + length


@hbm_floats.misconception(
    "You counted a smaller block as a fraction; count it as a whole block, because all of k and v stream past it too.",
    name="fraction-of-a-block",
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    return 4 * length * width + 4 * length * length, int(2 * length * width * (1 + length / block) + length)


@hbm_floats.misconception(
    "You forgot lse: tiled attention writes one number for each row, for the backward pass.", name="forgot-lse"
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    blocks = -(-length // block)
    return 4 * length * width + 4 * length * length, 2 * length * width * (1 + blocks)


@hbm_floats.misconception(
    "You counted o as written again for each block of keys, as in the first FlashAttention; here a block of q stays "
    "until its rows are done, so o is written once.",
    name="o-again-for-each-block",
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    blocks = -(-length // block)
    return 4 * length * width + 4 * length * length, length * width * (1 + 3 * blocks) + length


@hbm_floats.misconception(
    "Your blocks have 0 rows when the fast memory is small, or more rows than there are; keep the number of rows "
    "between 1 and `length`.",
    name="block-sizes-unbounded",
)
def _(length, width, sram):
    blocks = -(-length // (sram // (4 * width)))
    return 4 * length * width + 4 * length * length, 2 * length * width * (1 + blocks) + length


@hbm_floats.also_correct
def _(length, width, sram):
    block = sorted((1, sram // (4 * width), length))[1]
    tiled = 0
    for top in range(0, length, block):
        rows = min(block, length - top)
        tiled += rows * width + 2 * length * width + rows * width + rows
    return 4 * length * (width + length), tiled


@hbm_floats.also_correct
def _(length, width, sram):
    block = min(max(sram // width // 4, 1), length)
    blocks = (length + block - 1) // block
    return sum((3 * length * width, 4 * length**2, length * width)), length * (2 * width * (blocks + 1) + 1)
