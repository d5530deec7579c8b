import Glibc
import LambdaEmulator
import Platform
import WireFormats

/// Builds the function's program whenever its sources change, and lets the emulator start the new program.
struct Rebuild: Sendable {
  /// How often to look at the files.
  private static let interval = Duration.seconds(1)
  /// How long nothing may change before a build starts: an editor or git writes several files.
  private static let quiet = Duration.milliseconds(250)
  /// The maximum number of waits of ``quiet``. After that, the build starts even if the files still change.
  private static let quietLimit = 40
  /// The number of consecutive builds, each caused by a change during the previous one, after which ``longInterval`` applies.
  private static let repetitionLimit = 3
  private static let longInterval = Duration.seconds(30)

  /// The time between SIGTERM and SIGKILL for a build when the emulator stops.
  private static let grace = Duration.seconds(2)

  /// The shell command that builds the program.
  let command: String
  let console: Console

  /// Returns the command that builds a program of a package in the current directory, derived from the program's path.
  /// Nil if SwiftPM wouldn't build it at that path.
  static func command(building program: String) -> String? {
    var parts = program.split(separator: "/").map(String.init)
    if parts.first == "." { parts.removeFirst() }
    guard !program.hasPrefix("/"), parts.first == ".build", (3...4).contains(parts.count),
      // Without options, SwiftPM builds only for this system.
      parts.count == 3 || parts[1].hasSuffix("-unknown-linux-gnu"),
      let name = parts.popLast(), let configuration = parts.popLast(),
      name.utf8.allSatisfy({ isLetterOrDigit($0) || "-_.+".utf8.contains($0) })
    else { return nil }
    switch configuration {
    case "debug": return "swift build --product \(name)"
    case "release": return "swift build -c release --product \(name)"
    default: return nil
    }
  }

  /// Builds, and then again after each change, until the task is cancelled. Calls `ready` after the first build.
  func run(_ emulator: Emulator, ready: @Sendable () -> Void) async {
    var built = SourceFiles(below: ".")
    if built.isCut {
      console.error(
        "defender: --watch notices changes only in the first \(SourceFiles.limit) files below the current directory. Move files that aren't sources to a folder that begins with a dot."
      )
    }
    console.error("defender: building: \(command)")
    if await build() { await emulator.restart() }
    if Task.isCancelled { return }
    ready()
    var repetitions = 0
    while (try? await Task.sleep(for: repetitions < Self.repetitionLimit ? Self.interval : Self.longInterval))
      != nil
    {
      guard let changed = SourceFiles(below: ".").change(since: built) else {
        repetitions = 0
        continue
      }
      built = await filesAtRest()
      if Task.isCancelled { return }
      console.error("defender: \(escapingControlCharacters(changed)) changed, building: \(command)")
      if await build() {
        await emulator.restart()
        console.error("defender: built. The next invocation starts the new program.")
      }
      repetitions += 1
      if repetitions == Self.repetitionLimit {
        console.error(
          "defender: files changed during each of the last \(repetitions) builds, such as \(escapingControlCharacters(changed)). "
            + "If the build changes them itself, let it write to a folder that begins with a dot. Building at most every "
            + "\(Self.longInterval.components.seconds) seconds until that stops.")
      }
    }
  }

  /// Waits until the files stop changing.
  private func filesAtRest() async -> SourceFiles {
    var files = SourceFiles(below: ".")
    for _ in 0..<Self.quietLimit {
      guard (try? await Task.sleep(for: Self.quiet)) != nil else { break }
      let now = SourceFiles(below: ".")
      if now == files { break }
      files = now
    }
    return files
  }

  /// Runs the command, and shows its output. Returns whether it succeeded. Ends it if the task is cancelled.
  private func build() async -> Bool {
    let process: ChildProcess
    do throws(LaunchError) {
      process = try await ChildProcess.start(
        "/bin/sh", arguments: ["-c", command], environment: Environment.ofThisProcess.all)
    } catch {
      console.error("defender: \(error). The old program stays in use.")
      return false
    }
    let status = await withTaskCancellationHandler {
      await process.wait { [console] line in console.error(line) }
    } onCancel: {
      process.send(SIGTERM)
      Task {
        try? await Task.sleep(for: Self.grace)
        process.send(SIGKILL)
      }
    }
    if status == .code(0) { return true }
    if !Task.isCancelled {
      console.error(
        "defender: the build failed (\(status)). The old program stays in use until a build succeeds.")
    }
    return false
  }
}
