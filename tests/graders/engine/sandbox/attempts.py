"""Break-outs, as a student's code would try them. Each gives something true where it got out, and else fails or gives
something false. They run in a child that entered the sandbox; ``world`` is what there is to get at.
"""

# ruff: noqa: PTH100, PTH101, PTH102, PTH104, PTH115, PTH123, PTH208

import contextlib
import ctypes
import errno
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
ATTEMPTS: dict[str, Callable[["World"], object]] = {}
NEEDS_ROOT: set[str] = set()  # without a sandbox, only root succeeds
AT_L2_ALONE: set[str] = set()  # L1 does not promise to stop it
AT_L0: set[str] = set()  # the limits of L0 stop it already
X86 = "x86_64"


class World:
    """Where things are: the same for all attempts of one run."""

    def __init__(self, root: Path, **others: object) -> None:
        self.root = root
        self.parent: int = 0
        self.victim: int = 0
        self.port: int = 0
        self.folder_descriptor: int = -1
        self.file_descriptor: int = -1
        self.__dict__.update(others)

    def __getattr__(self, name: str) -> Path:
        return (
            self.root
            / {
                "gradebook": "course/gradebook.db",
                "classmate": "scratch-of-another/answer.py",
                "exercises": "site/topic/exercises.py",
                "reference": "site/topic/reference.py",
                "compiled": "site/topic/__pycache__/exercises.cpython-311.pyc",
                "outside": "course/written",
                "socket": "course/socket",
            }[name]
        )


def attempt(*kinds: set[str]):
    def register(function):
        name = function.__name__.replace("_", " ")
        ATTEMPTS[name] = function
        for kind in kinds:
            kind.add(name)
        return function

    return register


def call(number: int, *arguments: object) -> int:
    """A raw system call; OSError where it fails."""
    result = LIBC.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def reached(function: Callable[[], object]) -> bool:
    """Whether the kernel looked at the arguments: then it can be attacked. They are nonsense, so nothing happens."""
    try:
        function()
    except PermissionError:
        return False
    except OSError as error:
        return error.errno != 38  # not implemented
    return True


# --- files


@attempt()
def read_the_gradebook(world):
    return world.gradebook.read_text()


@attempt()
def read_a_classmates_scratch(world):
    return world.classmate.read_text()


@attempt()
def list_the_course(world):
    return os.listdir(world.gradebook.parent)


@attempt()
def read_the_exercises(world):
    return b"SOLUTION" in world.exercises.read_bytes()


@attempt()
def read_the_reference(world):
    return b"SOLUTION" in world.reference.read_bytes()


@attempt()
def read_the_compiled_exercises(world):
    return b"SOLUTION" in world.compiled.read_bytes()


@attempt()
def import_the_exercises(world):
    sys.path.insert(0, str(world.root / "site"))
    from topic.exercises import answer

    return answer == "SOLUTION"


@attempt(NEEDS_ROOT)
def read_the_shadow_file(world):
    return Path("/etc/shadow").read_text()


@attempt(NEEDS_ROOT)
def list_the_home_of_root(world):
    return [name for name in os.listdir("/root") if name != ".pyenv"]


@attempt()
def follow_a_link_to_the_gradebook(world):
    Path("link").symlink_to(world.gradebook)
    return Path("link").read_text()


@attempt()
def link_the_gradebook_into_the_scratch(world):
    os.link(world.gradebook, "linked")
    return True


@attempt()
def go_around_by_the_root_of_a_process(world):
    return Path(f"/proc/{world.victim}/root{world.gradebook}").read_text()


@attempt()
def go_around_by_its_own_root(world):
    return Path(f"/proc/self/root{world.gradebook}").read_text()


@attempt()
def climb_out_of_the_working_folder(world):
    return Path("../" * 30 + str(world.gradebook)).read_text()


@attempt(AT_L0)
def use_a_folder_that_was_open(world):
    return os.read(os.open("gradebook.db", os.O_RDONLY, dir_fd=world.folder_descriptor), 10)


@attempt(AT_L0)
def use_a_file_that_was_open(world):
    return os.pread(world.file_descriptor, 10, 0)


@attempt(AT_L0)
def search_the_open_descriptors(world):
    found = []
    for descriptor in range(3, 200):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [name for name in found if str(world.root) in name]


@attempt()
def write_beside_the_gradebook(world):
    world.outside.write_text("x")
    return True


@attempt(NEEDS_ROOT)
def leave_a_note_where_other_students_look(world):
    for folder in ("/", "/etc", "/dev", "/usr"):
        with contextlib.suppress(OSError):
            Path(folder, "note").write_text("x")
            Path(folder, "note").unlink()
            return True
    return False


@attempt(AT_L2_ALONE)
def find_that_the_root_folder_could_be_written(world):
    mounts = map(str.split, Path("/proc/self/mountinfo").read_text().splitlines())
    return next("rw" in fields[-1].split(",") for fields in mounts if fields[4] == "/")


@attempt()
def append_to_the_gradebook(world):
    with world.gradebook.open("a") as file:
        file.write("")
    return True


@attempt()
def empty_a_library(world):
    os.close(os.open(world.root / "site" / "library.py", os.O_RDONLY | os.O_TRUNC))
    return True


@attempt()
def truncate_a_library(world):
    os.truncate(world.root / "site" / "library.py", 0)
    return True


@attempt()
def delete_the_gradebook(world):
    os.rename(world.gradebook, world.gradebook.with_suffix(".moved"))
    os.rename(world.gradebook.with_suffix(".moved"), world.gradebook)
    return True


@attempt()
def open_the_gradebook_to_all(world):
    os.chmod(world.gradebook, 0o777)
    return world.gradebook.stat().st_mode & 0o777 == 0o777


@attempt()
def change_times_of_the_gradebook(world):
    os.utime(world.gradebook, (1, 1))
    return world.gradebook.stat().st_mtime == 1


@attempt()
def set_an_attribute_of_the_gradebook(world):
    os.setxattr(world.gradebook, b"user.x", b"x")
    return os.getxattr(world.gradebook, b"user.x") == b"x"


@attempt(AT_L2_ALONE)
def see_that_the_gradebook_exists(world):
    return world.gradebook.exists()


@attempt(NEEDS_ROOT)
def make_a_device(world):
    os.mknod("disk", 0o600 | 0o060000, os.makedev(1, 1))
    return True


@attempt(NEEDS_ROOT)
def open_the_kernels_log(world):
    return os.open("/dev/kmsg", os.O_WRONLY)


@attempt(NEEDS_ROOT)
def write_a_kernel_setting(world):
    return os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)


@attempt()
def open_another_device(world):
    opened = []
    for name in ("mem", "kvm", "fuse", "tty", "ptmx", "console", "vda", "sda", "userfaultfd", "vsock", "net/tun"):
        with contextlib.suppress(OSError):
            opened.append((name, os.open(f"/dev/{name}", os.O_RDWR | os.O_NOCTTY)))
    return opened


@attempt(NEEDS_ROOT)
def change_root_and_climb_out(world):
    os.mkdir("jail")
    os.chroot("jail")
    return True


@attempt()
def read_the_control_groups(world):
    return os.listdir("/sys/fs/cgroup") and os.listdir("/sys/kernel")


# --- other processes


@attempt()
def read_the_environment_of_a_process(world):
    return Path(f"/proc/{world.victim}/environ").read_bytes()


@attempt()
def read_the_memory_map_of_a_process(world):
    return Path(f"/proc/{world.victim}/maps").read_text()


@attempt()
def open_the_memory_of_a_process(world):
    return os.open(f"/proc/{world.victim}/mem", os.O_RDONLY)


@attempt()
def list_the_descriptors_of_a_process(world):
    return os.listdir(f"/proc/{world.victim}/fd")


@attempt()
def read_the_command_line_of_a_process(world):
    return b"victim" in Path(f"/proc/{world.victim}/cmdline").read_bytes()


@attempt()
def signal_a_process(world):
    os.kill(world.victim, signal.SIGCONT)
    return True


@attempt()
def signal_the_parent(world):
    os.kill(world.parent, signal.SIGCONT)
    return True


@attempt()
def signal_everybody(world):
    return reached(lambda: os.kill(-1, 0)) and world.victim in _visible_processes()


@attempt()
def signal_by_handle(world):
    signal.pidfd_send_signal(os.pidfd_open(world.victim), signal.SIGCONT)
    return True


@attempt()
def see_other_processes(world):
    return world.victim in _visible_processes()


def _visible_processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


@attempt()
def trace_a_process(world):
    if LIBC.ptrace(16, world.victim, 0, 0) < 0:  # PTRACE_ATTACH
        return False
    os.waitpid(world.victim, 0x40000000)
    LIBC.ptrace(17, world.victim, 0, 0)
    return True


@attempt()
def read_the_memory_of_a_process(world):
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_size_t * 2)(0, 8)
    LIBC.process_vm_readv(world.victim, local, 1, remote, 1, 0)
    return ctypes.get_errno() == 14  # bad address: it was allowed to look


@attempt()
def limit_another_process(world):
    return resource.prlimit(world.victim, resource.RLIMIT_CORE)


@attempt()
def set_a_limit_of_its_own(world):
    limit = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, limit)
    return True


@attempt()
def set_a_limit_of_its_own_by_the_old_call(world):
    limit = (ctypes.c_ulong * 2)()
    LIBC.getrlimit(resource.RLIMIT_DATA, limit)
    return call(160 if os.uname().machine == X86 else 164, resource.RLIMIT_DATA, limit) == 0


@attempt()
def slow_another_process(world):
    os.setpriority(os.PRIO_PROCESS, world.victim, 19)
    return True


@attempt()
def slow_all_of_this_user(world):
    return reached(lambda: os.setpriority(os.PRIO_USER, 1_999_999_999, 19))  # a user that is nobody: no harm is done


@attempt()
def pin_another_process(world):
    os.sched_setaffinity(world.victim, os.sched_getaffinity(0))
    return True


@attempt()
def steal_a_descriptor(world):
    handle = os.pidfd_open(world.victim)
    return reached(lambda: call(438, handle, 99, 0))


@attempt()
def outlive_its_keeper(world):
    return LIBC.prctl(1, 0, 0, 0, 0) == 0


@attempt()
def become_a_sibling(world):
    """CLONE_PARENT: the child would belong to the parent, and be forgotten when the student's process is killed."""
    number = 56 if os.uname().machine == X86 else 220
    child = call(number, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return True


# --- network


@attempt()
def connect_by_tcp(world):
    with socket.create_connection(("127.0.0.1", world.port), timeout=2):
        return True


@attempt()
def listen_for_tcp(world):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return True


@attempt()
def send_by_udp(world):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"x", ("127.0.0.1", world.port))


@attempt()
def connect_to_an_abstract_socket(world):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0studium-{world.port}")
        return True


@attempt()
def connect_to_a_socket_in_the_course(world):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(world.socket))
        return True


@attempt()
def ask_the_kernel_by_netlink(world):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0):
        return True


@attempt(NEEDS_ROOT)
def sniff_packets(world):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW):
        return True


@attempt()
def talk_to_the_host_of_a_virtual_machine(world):
    with socket.socket(40, socket.SOCK_STREAM):  # AF_VSOCK
        return True


@attempt()
def make_a_pair_of_inet_sockets(world):
    return reached(lambda: socket.socketpair(socket.AF_TIPC, socket.SOCK_STREAM))


# --- the kernel


@attempt()
def make_a_namespace_of_users(world):
    return LIBC.unshare(0x10000000) == 0


@attempt(NEEDS_ROOT)
def make_a_namespace_of_mounts(world):
    return LIBC.unshare(0x20000) == 0


@attempt()
def clone_into_a_namespace_of_users(world):
    number = 56 if os.uname().machine == X86 else 220
    child = call(number, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return True


@attempt()
def clone3_into_a_namespace_of_users(world):
    arguments = struct.pack("8Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    child = call(435, arguments, len(arguments))
    if child == 0:
        os._exit(0)
    return True


@attempt()
def join_another_namespace(world):
    return reached(lambda: call({X86: 308}.get(os.uname().machine, 268), -1, 0))


@attempt(NEEDS_ROOT)
def mount_a_file_system(world):
    os.mkdir("mounted")
    return LIBC.mount(b"none", os.fsencode(os.path.abspath("mounted")), b"tmpfs", 0, None) == 0 and (
        LIBC.umount2(os.fsencode(os.path.abspath("mounted")), 2) == 0
    )


@attempt(NEEDS_ROOT)
def open_a_mount_tree(world):
    return reached(lambda: call(428, -1, b"x", 0xFFFF))


@attempt()
def use_io_uring(world):
    return reached(lambda: call(425, 0, None))


@attempt()
def use_userfaultfd(world):
    return reached(lambda: call({X86: 323}.get(os.uname().machine, 282), 0xFFFF))


@attempt()
def use_bpf(world):
    return reached(lambda: call({X86: 321}.get(os.uname().machine, 280), 999, None, 0))


@attempt()
def use_the_keyring(world):
    return reached(lambda: call({X86: 250}.get(os.uname().machine, 219), 999))


@attempt()
def watch_performance(world):
    return reached(lambda: call({X86: 298}.get(os.uname().machine, 241), None, 0, 0, 0, 0))


@attempt()
def keep_memory_in_a_nameless_file(world):
    return os.memfd_create("x")


@attempt()
def share_memory_by_system_v(world):
    segment = call({X86: 29}.get(os.uname().machine, 194), 0, 4096, 0o1600)
    return call({X86: 31}.get(os.uname().machine, 195), segment, 0, None) == 0  # shmctl: remove it


@attempt()
def type_into_the_terminal(world):
    return reached(lambda: call({X86: 16}.get(os.uname().machine, 29), 0, 0x5412, b"x"))


@attempt()
def go_around_the_filter_by_another_filter(world):
    """A second filter that allows everything cannot take back what the first refused."""
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
    program = struct.pack("H6xQ", 1, ctypes.addressof(code))
    LIBC.prctl(38, 1, 0, 0, 0)
    call({X86: 317}.get(os.uname().machine, 277), 1, 0, program)
    return reached(lambda: call(425, 0, None))


@attempt()
def use_the_kernels_32_bit_face(world):
    """int 0x80 has other numbers: 20 is getpid there."""
    if os.uname().machine != X86:
        return False
    import mmap

    page = mmap.mmap(-1, 4096, prot=7)
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    code = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return code() > 0


@attempt(NEEDS_ROOT)
def become_root_again(world):
    os.setuid(0)
    return os.getuid() == 0


@attempt()
def become_root_by_a_setuid_program(world):
    return "uid=0" in subprocess.run([world.root / "site" / "id"], capture_output=True, text=True, check=True).stdout


@attempt(NEEDS_ROOT)
def have_a_capability(world):
    status = Path("/proc/self/status").read_text()
    passing_closed_folders = 6  # at L1, where Python itself is in one
    return int(status.split("CapPrm:")[1].split()[0], 16) & ~passing_closed_folders


# --- exhaustion: given the limits of the test, getting far beyond them is success


@attempt(AT_L2_ALONE)
def fill_the_disk_with_many_files(world):
    for number in range(40):
        Path(f"file-{number}").write_bytes(bytes(1 << 20))
    return True


@attempt(AT_L0)
def fill_the_disk_with_one_file(world):
    with open("big", "wb") as file:
        file.writelines(bytes(1 << 20) for _ in range(40))
    return True


@attempt(AT_L2_ALONE)
def make_files_without_end(world):
    for number in range(30_000):
        os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY))
    return True


@attempt()
def fork_without_end(world):
    for _ in range(60):
        if os.fork() == 0:
            signal.pause()
    return True


@attempt(AT_L0)
def take_memory_without_end(world):
    return len(bytearray(1 << 30))


@attempt(AT_L0)
def take_shared_memory_without_end(world):
    import mmap

    return [mmap.mmap(-1, 1 << 30) for _ in range(6)]


@attempt()
def keep_shared_memory_that_is_not_mapped(world):
    """All but the first page is given back, and the pages stay; in no count of a process are they."""
    import mmap

    kept = mmap.mmap(-1, 1 << 24)
    kept.write(bytes(1 << 24))
    return not LIBC.munmap(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(kept)) + 4096), (1 << 24) - 4096)


@attempt(AT_L2_ALONE)
def keep_shared_memory_of_the_zero_device(world):
    import mmap

    with open("/dev/zero", "r+b", buffering=0) as file:
        return mmap.mmap(file.fileno(), 1 << 24)


@attempt()
def share_four_gigabytes_and_a_page(world):
    """The length is a number of 64 bits, and a filter sees 32 of them at once."""
    from mmap import MAP_ANONYMOUS, MAP_SHARED

    LIBC.mmap.restype = ctypes.c_void_p
    return LIBC.mmap(None, ctypes.c_size_t((1 << 32) + 4096), 0, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != 2**64 - 1


@attempt()
def pin_memory_in_a_pipe(world):
    """A pipe holds a page that was given to it, and where that is one of 2 MB, all of it."""
    page = ctypes.create_string_buffer(4096)
    _, write = os.pipe()
    vector = struct.pack("QQ", ctypes.addressof(page), 4096)
    return call({X86: 278}.get(os.uname().machine, 75), write, vector, 1, 0)


@attempt()
def take_requests_that_all_users_share(world):
    """The kernel has a number of them for the whole machine."""
    return not call({X86: 206}.get(os.uname().machine, 0), 1000, ctypes.byref(ctypes.c_ulong()))


@attempt()
def let_the_disks_of_the_machine_write_all_they_hold(world):
    """Whether the kernel looks at the file: none has this number."""
    numbers = {X86: (74, 306)}.get(os.uname().machine, (82, 267))
    return all(isinstance(_error_of(lambda number=number: call(number, 1 << 20)), OSError) for number in numbers)


def _error_of(function):
    try:
        return function()
    except OSError as error:
        return error


def _on(x86: int, arm: int) -> int:
    return {X86: x86}.get(os.uname().machine, arm)


NO_FILE, UNALIGNED = -1, 1  # the kernel refuses them once it has begun to do what is asked


@attempt()
def advise_the_kernel_which_pages_of_files_to_keep(world):
    """All processes share these pages, so that one can tell another something by them."""
    asked = [
        lambda: os.posix_fadvise(NO_FILE, 0, 0, os.POSIX_FADV_DONTNEED),
        lambda: call(_on(187, 213), NO_FILE, ctypes.c_long(0), 4096),  # readahead
        *(lambda advice=advice: call(_on(28, 233), UNALIGNED, 4096, advice) for advice in (3, 20, 21)),  # madvise
        lambda: call(440, NO_FILE, None, 0, 21, 0),  # process_madvise
    ]
    return [number for number, function in enumerate(asked) if _begun(function)]


@attempt()
def ask_the_kernel_which_pages_of_files_it_keeps(world):
    piece = ctypes.create_string_buffer(4096)
    vector = struct.pack("QQ", ctypes.addressof(piece), 4096)
    no_wait = 8  # RWF_NOWAIT
    asked = [
        lambda: call(_on(27, 232), UNALIGNED, 4096, piece),  # mincore
        lambda: call(451, NO_FILE, piece, piece, 0),  # cachestat
        *(
            lambda number=number: call(number, NO_FILE, vector, 1, 0, 0, no_wait)
            for number in (_on(327, 286), _on(328, 287))  # preadv2, pwritev2
        ),
    ]
    return [number for number, function in enumerate(asked) if _begun(function)]


@attempt()
def watch_who_opens_a_library(world):
    """Other processes of students open the same files."""
    library = os.fsencode(world.root / "site" / "library.py")
    return LIBC.inotify_add_watch(LIBC.inotify_init1(0), library, 0x20) > 0


def _begun(function):
    return getattr(_error_of(function), "errno", None) in (errno.EBADF, errno.EINVAL, errno.ENOMEM)


@attempt(AT_L0)
def open_files_without_end(world):
    return [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]


@attempt(AT_L0)
def compute_without_end(world):
    import time

    while time.process_time() < 4:
        pass
    return True
