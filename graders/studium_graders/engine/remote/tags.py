"""The first item of a node that is not a plain msgpack value. The numbers are no promise: both ends are one version."""


class Tag:
    """What a node holds."""

    SEEN = 0  # index of an object earlier in this message
    ARGUMENT = 1  # depth of the request, index of an object in it: what the receiver itself had sent
    MINE = 2  # id of an object of the sender's
    YOURS = 3  # id of an object of the receiver's
    BIG_INT = 4
    COMPLEX = 5
    TEXT = 6  # a string with lone surrogates
    LIST = 7
    FLOATS = 8  # a list of floats, packed
    INTS = 9
    TUPLE = 10
    DICT = 11
    SET = 12
    FROZENSET = 13
    BYTES = 14
    BYTEARRAY = 15
    RANGE = 16
    SLICE = 17
    CONSTANT = 18  # Ellipsis, NotImplemented
    TYPE = 19  # a type by its name in a fixed table
    LIBRARY = 20  # module and name; judge to student only
    ARRAY = 21
    OBJECTS = 22  # an array of objects
    SCALAR = 23  # a NumPy scalar
    NUMPY_DTYPE = 24
    TENSOR = 25
    SPARSE = 26
    TORCH_DTYPE = 27
    DEVICE = 28
    SIZE = 29
    GENERATOR = 30
    RANDOM = 31
    NUMPY_RANDOM = 32
    STANDARD = 33  # name in a fixed table, arguments
    ORDERED = 34
    DEFAULT_DICT = 35
    COUNTER = 36
    DEQUE = 37
    NAMED_TUPLE = 38
    RECORD = 39  # an instance of a dataclass
    MEMBER = 40  # a member of an enum
    ERROR = 41
    ENTRY = 42  # a tensor with a history on the other side
    OUTPUT = 43  # index of an output of the message's graph
    MIRROR = 44  # a tensor that both sides keep equal
    MODULE = 45  # a module that both sides keep equal
    BOUND = 46  # an object and the name of its method
    NAMED = 47  # names, and what each stands for
    VIEW = 48  # of a dictionary: its keys, values or items
    INSTANCE = 49  # of a given class: what it holds
    FRAME = 50  # data of pandas': the kind and its parts
    FETCHED = 51  # name and contents of data that the receiver has under that name, and has sent; judge to student only
    ESTIMATOR = 52  # of scikit-learn's: what it holds, and the names of what is made again of that
    TREE = 53  # of scikit-learn's: its parts
    BUNCH = 54  # a data set of scikit-learn's
    SPARSE_MATRIX = 55  # of SciPy's: shape, elements, coordinates
    STREAM = 56  # text or bytes in memory: the kind, contents and place; without these where it is closed
    DOC = 57  # id of a function of the receiver's, of which the docstring is meant
    ALGEBRA = 58  # a number of SymPy's or mpmath's
    NOTICES = 59  # what was warned of and logged
