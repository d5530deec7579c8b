import Foundation
import PackagePlugin

/// `swift package lambda-init`: writes a first function, and prints its target for Package.swift.
@main struct LambdaInit: CommandPlugin {
  func performCommand(context: PluginContext, arguments: [String]) async throws {
    if arguments.contains(where: { ["-h", "--help"].contains($0) }) { return print(usage) }
    // This is an option of SwiftPM. If it follows the command, SwiftPM passes it to the plugin.
    let arguments = arguments.filter { $0 != "--allow-writing-to-package-directory" }
    guard arguments.isEmpty || (arguments.count == 2 && arguments[0] == "--name") else {
      throw Failure(
        "Unknown arguments '\(arguments.joined(separator: " "))'. Try: swift package lambda-init --help")
    }
    let package = context.package
    let name = arguments.last ?? package.displayName
    guard !name.isEmpty, name.utf8.allSatisfy({ isNameCharacter($0) }) else {
      throw Failure("The name is '\(name)'. Choose one of letters, digits, '-' and '_' with --name.")
    }
    guard let runtime = runtime(of: package) else {
      throw Failure("No package that \(package.displayName) depends on has the product LambdaRuntime.")
    }
    let main = package.directoryURL.appending(path: "Sources/\(name)/main.swift")
    guard !package.targets.contains(where: { $0.name == name }),
      !FileManager.default.fileExists(atPath: main.deletingLastPathComponent().path)
    else {
      throw Failure("There is already a target '\(name)'. Choose another name with --name.")
    }
    try FileManager.default.createDirectory(
      at: main.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(function.utf8).write(to: main)
    let target = """
      .executableTarget(
        name: "\(name)", dependencies: [.product(name: "LambdaRuntime", package: "\(runtime)")])
      """
    print(
      """
      Created Sources/\(name)/main.swift. Add its target to the targets in Package.swift:

      \(target)

      Then:
        swift build
        defender invoke --bootstrap .build/debug/\(name) --event '"world"'
        swift package lambda-archive --product \(name)
      """)
  }

  /// Returns the name by which the package refers to the one that has LambdaRuntime.
  private func runtime(of package: Package) -> String? {
    let runtime = package.dependencies.map(\.package).first {
      $0.products.contains { $0.name == "LambdaRuntime" }
    }
    guard let runtime else { return nil }
    // A dependency may declare its name. Otherwise, it is the last part of its URL or path.
    let manifest = try? String(
      contentsOf: package.directoryURL.appending(path: "Package.swift"), encoding: .utf8)
    let isNamed = manifest?.contains(".package(name: \"\(runtime.displayName)\"") ?? false
    return isNamed ? runtime.displayName : runtime.id
  }

  private func isNameCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}

/// An error, which SwiftPM prints after `error: `.
private struct Failure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}

private let function = #"""
  import LambdaRuntime

  /// Answers each event with a greeting. The event is JSON, such as "world".
  struct Hello: Handler {
    private var count = 0

    mutating func handle(_ event: Event, _ context: Context) throws -> Response {
      guard !event.bytes.isEmpty else {
        throw InvocationFailure(type: "Function.NoName", message: "The event is empty. Send a name.")
      }
      count += 1
      context.log.info("Greeted.", ["count": .integer(count)])
      return Response(json: Array("[\"hello\", ".utf8) + event.bytes + Array("]".utf8))
    }
  }

  serveAndExit { _ in Hello() }

  """#

private let usage = """
  OVERVIEW: Writes a first function to Sources/NAME/main.swift, and prints its target for Package.swift.

  USAGE: swift package --allow-writing-to-package-directory lambda-init [--name <name>]

  OPTIONS:
    --name <name>  The name of the target (default: that of the package).
    -h, --help     Show help information.
  """
