// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "testing",
  dependencies: [
    // In your own package: .package(url: "https://git.example.com/device-defender-swift", from: "0.2.0")
    .package(name: "device-defender-swift", path: "../../..")
  ],
  targets: [
    .executableTarget(
      name: "greeting", dependencies: [.product(name: "LambdaRuntime", package: "device-defender-swift")]),
    .testTarget(
      name: "greetingTests",
      dependencies: [
        "greeting", .product(name: "LambdaRuntimeTesting", package: "device-defender-swift"),
      ]),
  ]
)
