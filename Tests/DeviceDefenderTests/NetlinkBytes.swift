import CLinux
import Glibc

@testable import DeviceDefender

/// Returns the bytes of a netlink message.
func netlinkMessage(_ type: Int32, _ payload: [UInt8], sequence: UInt32 = 1, flags: UInt16 = 0) -> [UInt8] {
  var bytes: [UInt8] = []
  appendBytes(of: UInt32(16 + payload.count), to: &bytes)
  appendBytes(of: UInt16(type), to: &bytes)
  appendBytes(of: flags, to: &bytes)
  appendBytes(of: sequence, to: &bytes)
  appendBytes(of: UInt32(0), to: &bytes)
  bytes += payload
  return bytes + [UInt8](repeating: 0, count: -bytes.count & 3)
}

func status(_ value: Int32) -> [UInt8] {
  var bytes: [UInt8] = []
  appendBytes(of: value, to: &bytes)
  return bytes
}

/// Returns a socket's payload in an answer of sock_diag.
func diagnosedSocket(
  _ family: Int32, state: UInt8, _ local: [UInt8], _ localPort: UInt16, _ remote: [UInt8] = [],
  _ remotePort: UInt16 = 0, interface: UInt32 = 0, cookie: UInt64
) -> [UInt8] {
  var bytes: [UInt8] = [UInt8(family), state, 0, 0]
  appendBytes(of: localPort.bigEndian, to: &bytes)
  appendBytes(of: remotePort.bigEndian, to: &bytes)
  bytes += local + [UInt8](repeating: 0, count: 16 - local.count)
  bytes += remote + [UInt8](repeating: 0, count: 16 - remote.count)
  appendBytes(of: interface, to: &bytes)
  appendBytes(of: cookie, to: &bytes)
  return bytes + [UInt8](repeating: 0, count: 20)
}

func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
  var bytes: [UInt8] = []
  appendBytes(of: UInt16(4 + payload.count), to: &bytes)
  appendBytes(of: type, to: &bytes)
  bytes += payload
  return bytes + [UInt8](repeating: 0, count: -bytes.count & 3)
}
