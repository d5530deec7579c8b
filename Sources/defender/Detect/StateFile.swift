import ArgumentParser
import Detection
import Glibc
import Platform

/// The file of `--state`: the state to continue from, and the destination of the new one.
struct StateFile {
  /// The largest state that is read, in bytes.
  private static let maximumSize = 1 << 30

  private let file: ReplacedFile

  /// Checks that the file can be replaced, so that a wrong path fails before any report is read.
  ///
  /// `inputs` are the profiles and reports, which the state must not replace.
  init(_ path: String, inputs: [String], _ console: Console) throws {
    do {
      guard !isSpecialFile(path), let file = try ReplacedFile(checking: path) else {
        throw notStarted("The state can't be kept in '\(path)': it isn't a regular file.", console)
      }
      self.file = file
    } catch let error as OutputFileError {
      throw notStarted("The state can't be saved to '\(path)': \(error).", console)
    }
    if let input = file.first(of: inputs) {
      throw notStarted(
        "The state can't be saved to '\(path)': it would replace \(inputName(input)). Name another file.",
        console)
    }
  }

  /// Returns the state in the file; an empty one if there is no file yet.
  func load(_ console: Console) throws -> DetectionState {
    do {
      return try DetectionState(parsingJSON: try readFile(file.path, limit: Self.maximumSize))
    } catch let error as Errno where error == .noSuchFile {
      return DetectionState()
    } catch {
      throw notStarted(
        "The state in '\(file.path)' can't be used: \(error). Remove the file to start without a state.",
        console)
    }
  }

  /// Saves a state. A failure changes the exit status.
  func save(_ state: DetectionState) {
    do throws(Errno) {
      try file.replace(with: state.json + [UInt8(ascii: "\n")])
    } catch {
      LostOutput.note(error, to: "'\(file.path)'")
    }
  }
}

/// Returns what messages call an input of a command.
func inputName(_ path: String) -> String {
  path == "-" ? "the file that is standard input" : "the input '\(path)'"
}

/// Prints why a command can't start; returns its exit status.
func notStarted(_ text: String, _ console: Console) -> ExitCode {
  console.error("defender: \(escapingControlCharacters(text))")
  return ExitCode(CommandFailure.Status.notRun.rawValue)
}
