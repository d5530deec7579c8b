import DefenderAgent
import Glibc
import Platform

extension Doctor {
  /// If the agent's spool is configured, counts the reports that wait in it, and checks whether the disk has room for it.
  mutating func checkSpool() {
    let limit = configuration.spoolBytes
    guard limit > 0, let state = configuration.stateDirectory, !isMistaken(.spoolBytes, .stateDirectory)
    else {
      return
    }
    if (try? configuration.topic(for: configuration.format))?.isDeviceDefenders == true {
      note(
        "spool", .warning, "DEFENDER_SPOOL_BYTES has no effect on reports to Device Defender",
        advice: "Set DEFENDER_TOPIC to your own topic, or unset DEFENDER_SPOOL_BYTES.")
      return
    }
    let path = "\(state)/spool"
    var files: [(name: String, size: Int)] = []
    do throws(Errno) {
      files = try PrivateDirectory(path).files().filter { $0.name.hasSuffix(".report") }
    } catch {
      // The agent creates the directory for the first report that waits.
      guard error == .noSuchFile else {
        note(
          "spool", .warning, "\(path) can't be read: \(error)",
          advice: "Run defender doctor as the agent's user or as root.")
        return
      }
    }
    let size = files.reduce(0) { $0 + $1.size }
    let contents = "\(files.count) waiting in \(path), \(size) of \(limit) bytes"
    var disk = statvfs()
    guard unsafe statvfs(state, &disk) == 0 else { return note("spool", .ok, contents) }
    let free = UInt64(disk.f_bavail) * UInt64(disk.f_frsize)
    guard free >= UInt64(max(0, limit - size)) else {
      note(
        "spool", .warning, "\(contents), but the disk has only \(free) bytes free",
        advice: "Free space, or lower DEFENDER_SPOOL_BYTES.")
      return
    }
    note("spool", .ok, "\(contents); the disk has \(free) bytes free")
  }
}
