// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "echo",
  dependencies: [
    // In your own package: .package(url: "https://git.example.com/device-defender-swift", from: "0.2.0")
    .package(name: "device-defender-swift", path: "../../..")
  ],
  targets: [
    .executableTarget(
      name: "echo", dependencies: [.product(name: "LambdaRuntime", package: "device-defender-swift")])
  ]
)
