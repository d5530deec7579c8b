"""A seccomp filter (seccomp(2)) that denies netlink sockets to a process, as service managers, snaps and gVisor do."""

import ctypes
import errno
import os
import socket
import struct

NETLINK_ROUTE, NETLINK_SOCK_DIAG = 0, 4
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
# AUDIT_ARCH_* and the system call number of socket(2), by machine.
ARCHITECTURES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def without_netlink(protocol=None, error=errno.EAFNOSUPPORT):
    """Returns a `preexec_fn` that denies a child all netlink sockets, or those of `protocol`."""
    architecture, socket_call = ARCHITECTURES[os.uname().machine]
    # struct seccomp_data: the system call, the architecture, and from offset 16 the arguments. The filter checks their lower halves.
    wanted = [(4, architecture), (0, socket_call), (16, socket.AF_NETLINK)]
    if protocol is not None:
        wanted.append((32, protocol))
    code = b""
    for number, (offset, value) in enumerate(wanted):
        to_allow = 2 * (len(wanted) - number) - 1
        code += struct.pack("<HBBI", LOAD, 0, 0, offset) + struct.pack("<HBBI", EQUAL, 0, to_allow, value)
    code += struct.pack("<HBBI", RETURN, 0, 0, ERRNO | error) + struct.pack("<HBBI", RETURN, 0, 0, ALLOW)
    library = ctypes.CDLL(None, use_errno=True)

    def restrict():
        memory = ctypes.create_string_buffer(code, len(code))
        program = Program(len(code) // 8, ctypes.addressof(memory))
        for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program))):
            if library.prctl(*arguments, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")

    return restrict
