import Foundation
import PackagePlugin

/// `swift package lambda-archive`: builds a function for AWS Lambda and writes its zip, with lambda/packaging/archive of this package.
///
/// Thin, because SwiftPM compiles it for every package that depends on this one.
@main struct LambdaArchive: CommandPlugin {
  func performCommand(context: PluginContext, arguments: [String]) async throws {
    if arguments.contains(where: { ["-h", "--help"].contains($0) }) { return print(usage) }
    var options = ["--package-path", context.package.directoryURL.path]
    var rest = arguments
    var product: String?
    while let option = rest.first {
      guard ["--product", "--arch", "--output", "--scratch-path"].contains(option) else {
        throw Failure("Unknown argument '\(option)'. Try: swift package lambda-archive --help")
      }
      guard rest.count > 1 else { throw Failure("\(option) needs a value.") }
      if option == "--product" { product = rest[1] } else { options += rest.prefix(2) }
      rest.removeFirst(2)
    }
    options += ["--product", try executable(named: product, in: context.package)]
    guard let script = script(in: context.package) else {
      throw Failure(
        "lambda/packaging/archive is missing or not executable in the checkout of device-defender-swift. Run 'swift package reset', "
          + "or, if the dependency is a path, restore that folder.")
    }
    let process = Process()
    process.executableURL = script
    process.arguments = options
    process.environment = ProcessInfo.processInfo.environment.merging([
      "LAMBDA_ARCHIVE_NAME": "lambda-archive"
    ]) { $1 }
    try process.run()
    process.waitUntilExit()
    // The script has explained the reason.
    guard process.terminationStatus == 0 else {
      throw Failure("The zip wasn't written. The reason is above.")
    }
  }

  /// Returns the name of the executable product to build: the given one, or the only one.
  private func executable(named wanted: String?, in package: Package) throws -> String {
    let names = package.products(ofType: ExecutableProduct.self).map(\.name).sorted()
    let list = names.map { "'\($0)'" }.joined(separator: ", ")
    guard let first = names.first else {
      throw Failure(
        "The package \(package.displayName) has no executable target. Create one with: swift package --allow-writing-to-package-directory lambda-init"
      )
    }
    if let wanted {
      guard names.contains(wanted) else {
        throw Failure(
          "--product is '\(wanted)', but the executable products of \(package.displayName) are \(list).")
      }
      return wanted
    }
    guard names.count == 1 else { throw Failure("Choose the product with --product: \(list).") }
    return first
  }

  /// Returns lambda/packaging/archive. Searches all dependencies, because a dependent may give this package another name and folder.
  private func script(in package: Package) -> URL? {
    let script = package.directoryURL.appending(path: "lambda/packaging/archive")
    if FileManager.default.isExecutableFile(atPath: script.path) { return script }
    return package.dependencies.lazy.compactMap { self.script(in: $0.package) }.first
  }
}

/// An error, which SwiftPM prints after `error: `.
private struct Failure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}

private let usage = """
  OVERVIEW: Builds a function for AWS Lambda (provided.al2023): static, without symbols, in a reproducible zip. Needs no Docker.

  USAGE: swift package lambda-archive [--product <name>] [--arch <x86_64|arm64>] [--output <directory>] [--scratch-path <directory>]

  OPTIONS:
    --product <name>            The executable product (default: the only one). The zip has its name.
    --arch <x86_64|arm64>       The target architecture (default: this machine's).
    --output <directory>        The directory for the zip (default: .build/lambda-archive/ARCH).
    --scratch-path <directory>  The directory for the build (default: .build/lambda-archive/build-ARCH).
    -h, --help                  Show help information.
  """
